//! The ground that all other tests stand on, tested itself.
//!
//! A daemon leaves nothing behind, containers are real ones, the heartbeat sees a stock
//! pause, the law's checker can tell, the stock way fails as it is known to, and trees
//! of one image agree by two ways of looking at it.

use harness::{
    BASE, Container, Daemon, FileSystem, Freezer, Leftovers, Options, Pods, Result, Tree, View,
    commit_by_oracle, shim_socket, wait_until,
};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

#[test]
fn a_daemon_with_a_frozen_container_leaves_nothing_behind() -> Result {
    let daemon = Daemon::start()?;
    let folder = daemon.folder().to_path_buf();
    let container = daemon.run(&["sleep", "1000"])?;
    let other = daemon.run(&["sleep", "1000"])?;
    container.pause()?;
    other.freezer()?.set_frozen(true)?;
    let (pid, cgroup) = (
        container.pid()?,
        container.freezer()?.folder().to_path_buf(),
    );
    drop(daemon);
    assert_gone(&folder, &cgroup, pid);
    Ok(())
}

fn assert_gone(folder: &Path, cgroup: &Path, pid: u32) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    assert!(!folder.exists() && !mounts.contains(name));
    assert!(
        !cgroup.parent().unwrap().exists(),
        "{} is left",
        cgroup.display()
    );
    // One that its shim had no time to reap is process 1's to reap, which may take it seconds.
    wait_until("a process being gone", Duration::from_secs(10), || {
        let process = format!("/proc/{pid}");
        Ok((!Path::new(&process).exists()).then_some(()))
    })
    .unwrap();
    let devices = Command::new("losetup").arg("-a").output().unwrap();
    assert!(!String::from_utf8_lossy(&devices.stdout).contains(name));
}

/// What a CRI that is not told otherwise would use.
const OUTSIDE: [&str; 7] = [
    "/etc/cni",
    "/etc/containerd",
    "/opt/cni",
    "/opt/containerd",
    "/run/netns",
    "/var/lib/cni",
    "/var/lib/containerd",
];

/// nerdctl makes them below /run for a program that it does not wait for, and leaves them there.
#[test]
fn fifos_of_a_container_that_has_ended_go_with_the_daemon() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, BASE, &["sleep", "1000"])?;
    container.spawn(&["sleep", "1000"])?;
    container.stop()?;
    let noted = fs::read_to_string(daemon.folder().join("fifos"))?;
    assert_eq!(noted.is_empty(), !daemon.nerdctl()?.is_real);
    drop(container);
    drop(daemon);
    assert!(noted.lines().all(|fifo| !Path::new(fifo).exists()));
    Ok(())
}

#[test]
fn a_daemon_with_pods_leaves_nothing_behind_and_touches_nothing_outside() -> Result {
    let outside = || OUTSIDE.map(|path| fs::metadata(path).and_then(|one| one.modified()).ok());
    let before = outside();
    let options = Options {
        cri: true,
        ..Options::default()
    };
    let daemon = options.start()?;
    let folder = daemon.folder().to_path_buf();
    let pods = Pods::of(&daemon)?;
    let pod = pods.start()?;
    let id = pod.run(BASE, &["sleep", "1000"])?;
    assert!(!Path::new("/run/containerd/runc/k8s.io").join(&id).exists());
    let bundle = folder.join("run/state/io.containerd.runtime.v2.task/k8s.io");
    let socket = shim_socket(&bundle.join(&pod.id)).expect("a shim's socket");
    let pids = [pods.pid(&id)?, pods.pid(&pod.id)?];
    let cgroups = pids.map(|pid| Freezer::of_process(&daemon.cgroup_root(), pid));
    assert!(socket.exists());
    assert_eq!(before, outside());
    drop(pods);
    drop(daemon);
    for (pid, cgroup) in pids.into_iter().zip(cgroups) {
        assert_gone(&folder, cgroup?.folder(), pid);
    }
    assert!(!socket.exists());
    assert_eq!(before, outside());
    Ok(())
}

#[test]
fn a_daemon_starts_on_every_file_system() -> Result {
    for file_system in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
        let daemon = Options {
            file_system,
            ..Options::default()
        }
        .start()?;
        let container = daemon.run(&["sleep", "1000"])?;
        assert_eq!(container.output(&["echo", "hello"])?, "hello");
    }
    Ok(())
}

#[test]
fn a_container_lives_through_what_nerdctl_can_do_to_it() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    assert_eq!(container.status()?.as_deref(), Some("running"));
    container.pause()?;
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    assert!(container.freezer()?.is_frozen());
    container.unpause()?;
    assert!(!container.freezer()?.is_frozen());
    container.exec(&["sh", "-c", "exit 7"])?.failed()?;
    container.shell("echo changed >/srv/plain")?;
    assert_eq!(
        fs::read_to_string(container.upper()?.join("srv/plain"))?,
        "changed\n"
    );
    container.stop()?;
    assert_ne!(container.status()?.as_deref(), Some("running"));
    container.start()?;
    assert_eq!(container.output(&["cat", "/srv/plain"])?, "changed");
    container.remove()
}

#[test]
fn inspect_has_what_freezeframe_reads() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let words = ["container", "inspect", "--mode=native", &container.name];
    let inspected = daemon.nerdctl()?.run(&words)?;
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout)?;
    let one = &inspected[0];
    assert_eq!(one["ID"], container.id);
    assert_eq!(one["Image"], BASE);
    assert_eq!(one["Labels"]["nerdctl/name"], container.name);
    assert_eq!(one["Snapshotter"], "overlayfs");
    assert_eq!(one["SnapshotKey"], container.id);
    assert_eq!(one["Process"]["Pid"], container.pid()?);
    assert_eq!(one["Process"]["Status"]["Status"], "running");
    assert!(one["Spec"]["linux"]["cgroupsPath"].is_string());
    Ok(())
}

#[test]
fn the_heartbeat_sees_a_pause_for_as_long_as_it_lasts() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let heartbeat = container.heartbeat()?;
    let pause = Duration::from_millis(300);
    let (lasting, longest) = heartbeat.during(|| {
        container.pause()?;
        std::thread::sleep(pause);
        let lasting = heartbeat.longest()?;
        container.unpause()?;
        Ok(lasting)
    })?;
    assert!(lasting >= pause, "a pause that lasts reads as {lasting:?}");
    assert!(longest >= lasting, "{longest:?}");
    Ok(())
}

#[test]
fn the_law_holds_in_a_paused_container_and_in_no_running_copy() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    std::thread::sleep(Duration::from_millis(500));
    for _ in 0..3 {
        container.pause()?;
        container.check_law()?;
        container.unpause()?;
    }
    // Read one after the other while they change, some are of another moment.
    wait_until(
        "a copy of a running tree breaking the law",
        Duration::from_secs(10),
        || Ok(container.check_law().is_err().then_some(())),
    )
}

#[test]
fn stock_fails_with_write_too_long_on_growing_files() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "append-logs", "/logs", "9"])?;
    container.wait_for("/logs/8.log")?;
    let words = ["commit", "--pause=false", &container.name, "grown"];
    wait_until(
        "stock failing with write too long",
        Duration::from_secs(15),
        || {
            let commit = daemon.nerdctl()?.outcome(&words)?;
            Ok(commit
                .error_text()
                .contains("archive/tar: write too long")
                .then_some(()))
        },
    )
}

#[test]
fn a_stock_commit_gives_an_image_that_runs() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo new >/srv/new; rm /srv/plain")?;
    let before = Leftovers::now(&container)?;
    let commit = daemon
        .nerdctl()?
        .run(&["commit", &container.name, "committed"])?;
    assert!(
        commit.text().starts_with("sha256:"),
        "{}",
        commit.describe()
    );
    let changes = before.changes(&Leftovers::now(&container)?);
    assert!(
        changes
            .iter()
            .any(|change| change.contains("committed:latest")),
        "{changes:?}"
    );
    let copy = Container::run(&daemon, "committed", &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/new"])?, "new");
    copy.exec(&["cat", "/srv/plain"])?.failed()?;
    Ok(())
}

#[test]
fn the_oracle_preserves_what_the_container_held() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell(
        "mkdir /srv/made; ln /srv/secret /srv/made/linked; rm -r /srv/many; mkfifo /srv/made/fifo
         chown 5:6 /srv/plain; chmod 4711 /srv/plain; ln -s x /srv/made/link; mv /srv/one /srv/two",
    )?;
    container.pause()?;
    let reference = "docker.io/library/oracle:latest";
    commit_by_oracle(&container, reference)?;
    let snapshot = View::snapshot(&daemon, reference)?.tree()?;
    let unpacked = View::unpacked(&daemon, reference)?.tree()?;
    snapshot.assert_same(&unpacked, "the snapshot and the layers unpacked");
    let live = without_mounts(Tree::read(&container.root()?)?);
    without_mounts(snapshot).assert_same(&live, "the image and the container");
    Ok(())
}

/// Without what is mounted in a running container, and so in no image.
fn without_mounts(tree: Tree) -> Tree {
    let mounted = ["proc", "sys", "dev", "run", "heartbeat", "etc"];
    mounted.iter().fold(tree, |tree, path| tree.without(path))
}
