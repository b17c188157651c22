//! A container is committed in whatever state it is, found by whatever name it has, and
//! left in that state: running, paused, frozen by hand, stopped, never started.

use crate::FREEZEFRAME;
use harness::{BASE, Commit, Container, Daemon, Freezeframe, Outcome, Result, View};
use harness::{outcome, wait_until};
use std::fs;
use std::process::Command;
use std::time::Duration;

const IMAGE: &str = "docker.io/library/image:latest";

/// A running container with one changed file.
fn changed(daemon: &Daemon) -> Result<Container<'_>> {
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo changed >/srv/plain")?;
    Ok(container)
}

fn commit(container: &Container, flags: &[&str]) -> Result<Commit> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, flags)?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    assert_has_change(container.daemon())?;
    Ok(commit)
}

fn assert_has_change(daemon: &Daemon) -> Result {
    let plain = View::snapshot(daemon, IMAGE)?.read("/srv/plain")?;
    assert_eq!(plain, "changed\n");
    Ok(())
}

#[test]
fn a_running_container_is_frozen_and_runs_on() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    let heartbeat = container.heartbeat()?;
    let commit = commit(&container, &[])?;
    assert!(commit.frozen_ms() > 0.0, "{:#}", commit.report);
    assert_eq!(container.status()?.as_deref(), Some("running"));
    assert!(!container.freezer()?.is_frozen());
    let beats = heartbeat.beats()?;
    wait_until("more beats", Duration::from_secs(5), || {
        Ok((heartbeat.beats()? > beats).then_some(()))
    })
}

#[test]
fn a_paused_container_stays_paused() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    container.pause()?;
    let commit = commit(&container, &[])?;
    assert!(commit.frozen_ms() == 0.0, "{:#}", commit.report);
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    assert!(container.freezer()?.is_frozen());
    container.unpause()?;
    assert_eq!(container.output(&["cat", "/srv/plain"])?, "changed");
    Ok(())
}

#[test]
fn a_container_frozen_by_hand_stays_frozen() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    let freezer = container.freezer()?;
    freezer.set_frozen(true)?;
    wait_until("the freezer", Duration::from_secs(5), || {
        Ok(freezer.is_frozen().then_some(()))
    })?;
    let warning = commit(&container, &[])?.outcome.error_text();
    assert!(freezer.is_frozen());
    let command = warning.split('`').nth(1).expect("a command in the warning");
    outcome(Command::new("sh").args(["-c", command]))?.succeeded()?;
    assert_eq!(container.output(&["cat", "/srv/plain"])?, "changed");
    Ok(())
}

#[test]
fn a_stopped_container_stays_stopped() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    container.stop()?;
    let before = container.status()?;
    assert_ne!(before.as_deref(), Some("running"));
    commit(&container, &[])?;
    assert_eq!(container.status()?, before);
    container.start()?;
    assert_eq!(container.output(&["cat", "/srv/plain"])?, "changed");
    Ok(())
}

#[test]
fn a_commit_without_a_pause_freezes_nothing() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    for flag in ["-p=false", "--pause=0"] {
        let commit = commit(&container, &[flag])?;
        assert!(commit.frozen_ms() == 0.0, "{:#}", commit.report);
        assert_eq!(container.status()?.as_deref(), Some("running"));
    }
    Ok(())
}

/// A container of ctr's, which has none of nerdctl's labels.
fn made_by_ctr(daemon: &Daemon, command: &[&str]) -> Result<String> {
    // Unique on this machine, as runc's state is shared.
    let id = format!("{}-by-ctr", daemon.ctr().namespace);
    let words: &[&str] = &[BASE, &id, "sleep", "1000"];
    daemon.ctr().run(&[command, words].concat())?;
    Ok(id)
}

fn commit_by_word(freezeframe: &Freezeframe, word: &str) -> Result<Outcome> {
    freezeframe.outcome(&["commit", word, IMAGE])?.succeeded()
}

#[test]
fn a_container_that_was_never_started_is_its_image() -> Result {
    let daemon = Daemon::start()?;
    let id = made_by_ctr(&daemon, &["containers", "create"])?;
    assert!(daemon.ctr().task(&id)?.is_none());
    commit_by_word(&daemon.freezeframe(FREEZEFRAME)?, &id)?;
    assert!(daemon.ctr().task(&id)?.is_none());
    let image = View::snapshot(&daemon, IMAGE)?.tree()?;
    image.assert_same(&View::snapshot(&daemon, BASE)?.tree()?, "the base");
    let copy = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/plain"])?, "plain");
    Ok(())
}

#[test]
fn a_container_that_nerdctl_does_not_know_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let id = made_by_ctr(&daemon, &["run", "--detach", "--null-io"])?;
    let change = ["sh", "-c", "echo changed >/srv/plain"];
    let exec = ["tasks", "exec", "--exec-id", "change", &id];
    daemon.ctr().run(&[&exec[..], &change].concat())?;
    commit_by_word(&daemon.freezeframe(FREEZEFRAME)?, &id)?;
    assert_has_change(&daemon)?;
    let task = daemon.ctr().task(&id)?;
    assert_eq!(task.map(|(_, status)| status).as_deref(), Some("running"));
    Ok(())
}

#[test]
fn a_container_with_a_read_only_root_is_its_image() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run_with(&daemon, BASE, &["--read-only"], &["sleep", "1000"])?;
    container.exec(&["touch", "/srv/new"])?.failed()?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    let image = View::snapshot(&daemon, IMAGE)?.read("/srv/plain")?;
    assert_eq!(image, "plain\n");
    assert_eq!(container.status()?.as_deref(), Some("running"));
    Ok(())
}

#[test]
fn volumes_and_tmpfs_are_not_in_the_image() -> Result {
    let daemon = Daemon::start()?;
    let volume = daemon.disk().join("volume");
    fs::create_dir(&volume)?;
    let volume = format!("{}:/volume", volume.display());
    let flags = ["--volume", &volume, "--tmpfs", "/scratch"];
    let container = Container::run_with(&daemon, BASE, &flags, &["sleep", "1000"])?;
    container.shell("echo x | tee /volume/a /scratch/b /heartbeat/c; echo changed >/srv/plain")?;
    commit(&container, &[])?;
    let image = View::snapshot(&daemon, IMAGE)?;
    for path in ["volume", "scratch", "heartbeat"] {
        let content: Vec<_> = fs::read_dir(image.path().join(path))?.collect();
        assert!(content.is_empty(), "/{path} holds {content:?}");
    }
    Ok(())
}

#[test]
fn a_container_is_found_by_its_name_its_id_and_the_beginning_of_that() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for word in [&container.name, &container.id, &container.id[..12]] {
        commit_by_word(&freezeframe, word)?;
        assert_has_change(&daemon)?;
        daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    }
    Ok(())
}

#[test]
fn no_nerdctl_is_needed() -> Result {
    let daemon = Daemon::start()?;
    let container = changed(&daemon)?;
    let empty = daemon.new_folder("path")?;
    for word in [&container.name, &container.id, &container.id[..12]] {
        let mut command = daemon.freezeframe(FREEZEFRAME)?.command();
        command
            .env_remove("FREEZEFRAME_NERDCTL")
            .env("PATH", &empty);
        outcome(command.args(["commit", word, IMAGE]))?.succeeded()?;
        assert_has_change(&daemon)?;
        daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    }
    Ok(())
}
