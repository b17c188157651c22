//! What is mounted in a container is not in its image; what lies beneath is, as are the
//! mount points that had to be made.

use super::{IMAGE, assert_is_theirs, commit};
use harness::{BASE, Container, Daemon, FileSystem, Result, View, outcome, wait_until};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A folder of the host's with one file, to be mounted.
fn folder(daemon: &Daemon, name: &str) -> Result<String> {
    let path = daemon.disk().join(name);
    fs::create_dir(&path)?;
    fs::write(path.join("host"), "of the host\n")?;
    Ok(path.display().to_string())
}

fn content(folder: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|one| Ok(one?.file_name().display().to_string()));
    names.collect()
}

#[test]
fn mounts_over_files_and_folders_hide_nothing_and_show_nothing() -> Result {
    let daemon = Daemon::start()?;
    let host = folder(&daemon, "host")?;
    let volumes = [
        format!("{host}/host:/srv/plain"),
        format!("{host}:/srv/many"),
        format!("{host}:/srv/nested/deeper:ro"),
    ];
    let mut flags: Vec<&str> = vec!["--tmpfs", "/root"];
    for volume in &volumes {
        flags.extend(["--volume", volume]);
    }
    let container = Container::run_with(&daemon, BASE, &flags, &["sleep", "1000"])?;
    container.shell("echo x | tee /srv/plain /srv/many/new /root/new /heartbeat/new")?;
    container.shell("cat /srv/nested/deeper/host; echo changed >/srv/nested/beside")?;
    commit(&container)?;
    let image = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(image.read("/srv/plain")?, "plain\n");
    assert_eq!(image.read("/srv/nested/deeper/file")?, "from the base\n");
    assert_eq!(image.read("/srv/nested/beside")?, "changed\n");
    assert_eq!(content(&image.path().join("srv/many"))?.len(), 50);
    assert_eq!(content(&image.path().join("root"))?, [""; 0]);
    assert_is_theirs(&container)
}

#[test]
fn mount_points_that_were_made_are_in_the_image_and_empty() -> Result {
    let daemon = Daemon::start()?;
    let host = folder(&daemon, "host")?;
    let volumes = [
        format!("{host}:/made/for/a/folder"),
        format!("{host}/host:/made/for/a/file"),
        format!("{host}/host:/srv/one-more"),
    ];
    let mut flags: Vec<&str> = vec!["--tmpfs", "/made/for/tmpfs"];
    for volume in &volumes {
        flags.extend(["--volume", volume]);
    }
    let container = Container::run_with(&daemon, BASE, &flags, &["sleep", "1000"])?;
    container.shell("echo x | tee /made/for/a/folder/new /made/for/a/file /made/for/tmpfs/new")?;
    commit(&container)?;
    let image = View::snapshot(&daemon, IMAGE)?;
    let made = image.path().join("made/for");
    assert_eq!(content(&made.join("a/folder"))?, [""; 0]);
    assert_eq!(content(&made.join("tmpfs"))?, [""; 0]);
    assert_eq!(image.read("/made/for/a/file")?, "");
    assert_eq!(image.read("/srv/one-more")?, "");
    assert_is_theirs(&container)
}

#[test]
fn a_read_only_root_with_something_to_write_to_is_its_image() -> Result {
    let daemon = Daemon::start()?;
    let volume = format!("{}:/srv/many", folder(&daemon, "host")?);
    let flags = ["--read-only", "--tmpfs", "/tmp", "--volume", &volume];
    let container = Container::run_with(&daemon, BASE, &flags, &["sleep", "1000"])?;
    container.exec(&["touch", "/srv/new"])?.failed()?;
    container.shell("echo x | tee /tmp/new /srv/many/new")?;
    commit(&container)?;
    let image = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(content(&image.path().join("tmp"))?, [""; 0]);
    assert_eq!(content(&image.path().join("srv/many"))?.len(), 50);
    assert_is_theirs(&container)
}

#[test]
fn what_a_privileged_container_mounts_and_makes_is_told_apart() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run_with(&daemon, BASE, &["--privileged"], &["sleep", "1000"])?;
    container.shell(
        "mount -t tmpfs none /srv/many; echo x >/srv/many/new
         mkdir /bound; mount --bind /srv/nested /bound; echo seen >/bound/twice
         mount --bind /srv/secret /srv/plain; echo changed >/srv/plain
         mknod /srv/block b 7 200; mknod /dev/not-in-it c 1 3",
    )?;
    commit(&container)?;
    let image = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(content(&image.path().join("srv/many"))?.len(), 50);
    assert_eq!(content(&image.path().join("bound"))?, [""; 0]);
    assert_eq!(image.read("/srv/nested/twice")?, "seen\n");
    assert_eq!(image.read("/srv/plain")?, "plain\n");
    assert_eq!(image.read("/srv/secret")?, "changed\n");
    assert_eq!(content(&image.path().join("dev"))?, [""; 0]);
    assert_is_theirs(&container)
}

/// Such a file system tells no size at all.
#[test]
fn a_disk_in_memory_without_a_limit_has_room() -> Result {
    let daemon = Daemon::start_on(FileSystem::Tmpfs)?;
    let mut lift = Command::new("mount");
    outcome(lift.args(["-o", "remount,size=0"]).arg(daemon.disk()))?.succeeded()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo changed >/srv/plain")?;
    commit(&container)?;
    let plain = View::snapshot(&daemon, IMAGE)?.read("/srv/plain")?;
    assert_eq!(plain, "changed\n");
    Ok(())
}

/// It sees none of its mounts then, and may have done so for the pause of a delegated commit.
#[test]
fn a_container_whose_first_process_has_another_root_is_committed_directly() -> Result {
    let daemon = Daemon::start()?;
    let jail = "mkdir -p /jail/bin && cp /bin/busybox /jail/bin && echo in >/jail/ready && \
                exec chroot /jail /bin/busybox sleep 1000";
    let container = daemon.run(&["sh", "-c", jail])?;
    let mounts = format!("/proc/{}/mountinfo", container.pid()?);
    wait_until("the other root", Duration::from_secs(15), || {
        Ok(fs::read(&mounts)?.is_empty().then_some(()))
    })?;
    commit(&container)?;
    let image = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(image.read("/jail/ready")?, "in\n");
    assert_is_theirs(&container)
}
