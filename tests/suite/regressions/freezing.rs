//! A freeze is of one container and of nobody else's, and what others ask for meanwhile
//! holds afterwards.

use super::IMAGE;
use crate::FREEZEFRAME;
use harness::{BASE, Committing, Daemon, Freezer, Result, Signal};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;

#[test]
fn a_pause_by_containerd_during_our_freeze_holds_afterwards() -> Result {
    paused_during_our_freeze(|committing| {
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded().map(drop)
    })
}

#[test]
fn a_pause_by_containerd_during_a_freeze_that_is_interrupted_holds_afterwards() -> Result {
    paused_during_our_freeze(|committing| {
        committing.signal(Signal::INT)?;
        committing.signal(Signal::CONT)?;
        let died_of = committing.finish()?.outcome.status.signal();
        assert_eq!(died_of, Some(Signal::INT.as_raw()));
        Ok(())
    })
}

/// runc looks whether the container runs, and then freezes it: a freeze of ours in
/// between looks to it like its own.
fn paused_during_our_freeze(end: impl FnOnce(Committing) -> Result) -> Result {
    let daemon = Daemon::start()?;
    let looked = daemon.run_folder().join("looked");
    // It finds the container frozen, and is done.
    let cases = format!("*' pause '*) test -e {} && exit 0;;", looked.display());
    let runc = runc_but(&daemon, &cases)?;
    let flags = ["--runc-binary", &runc];
    let id = daemon.unique(&daemon.ctr().namespace);
    let freezer = run(&daemon, &flags, &id, &["probe", "big", "/big", "96"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let committing = freezeframe.hold_commit_of_in_freeze(&id, &freezer, IMAGE)?;
    fs::write(&looked, "")?;
    daemon.ctr().run(&["tasks", "pause", &id])?;
    end(committing)?;
    assert_eq!(status(&daemon, &id)?.as_deref(), Some("paused"));
    assert!(freezer.is_frozen(), "paused, but it runs");
    daemon.ctr().run(&["tasks", "resume", &id])?;
    assert!(!freezer.is_frozen(), "resumed, but it is frozen");
    Ok(())
}

#[test]
fn a_pause_by_nerdctl_while_a_commit_is_under_way_holds_afterwards() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for stage in ["plan", "prepare", "scan", "copy", "finish", "layer"] {
        let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
        committing.wait_for_stage(stage)?;
        committing.stop()?;
        // It may have frozen meanwhile; then there is nothing that runs to be paused.
        let paused = container.pause().is_ok();
        let is_thawed = matches!(stage, "finish" | "layer");
        assert!(paused || !is_thawed, "frozen at {stage}");
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded()?;
        let expected = if paused { "paused" } else { "running" };
        assert_eq!(container.status()?.as_deref(), Some(expected), "{stage}");
        assert_eq!(container.freezer()?.is_frozen(), paused, "{stage}");
        if paused {
            container.unpause()?;
        }
    }
    Ok(())
}

/// runc, but for its answers to what `cases`, of a shell's `case`, match; returns its path.
pub fn runc_but(daemon: &Daemon, cases: &str) -> Result<String> {
    let program = daemon.new_folder("runc")?.join("runc");
    let runc = which::which("runc")?.display().to_string();
    let script = format!("#!/bin/sh\ncase \" $* \" in {cases} esac\nexec {runc} \"$@\"\n");
    fs::write(&program, script)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    Ok(program.display().to_string())
}

pub fn status(daemon: &Daemon, id: &str) -> Result<Option<String>> {
    Ok(daemon.ctr().task(id)?.map(|(_, status)| status))
}

#[test]
fn a_container_whose_id_is_part_of_other_names_is_frozen_alone() -> Result {
    let daemon = Daemon::start()?;
    // Both are within the namespace's name, which begins with freezeframe-test.
    assert!(daemon.ctr().namespace.starts_with("freezeframe-test"));
    let others = ["a-test", "test2", "z", "2e"];
    let others = others.map(|id| run(&daemon, &[], id, &["sleep", "1000"]));
    let others: Vec<Freezer> = others.into_iter().collect::<Result<_>>()?;
    for id in ["e", "freezeframe-test"] {
        let target = run(&daemon, &[], id, &["probe", "big", "/big", "128"])?;
        assert!(
            freezes_alone(&daemon, id, &target, &others)?,
            "{id} was not seen to freeze"
        );
    }
    Ok(())
}

/// A container whose ID is ours to choose.
pub fn run(daemon: &Daemon, flags: &[&str], id: &str, words: &[&str]) -> Result<Freezer> {
    let call = ["run", "--detach", "--null-io"];
    daemon
        .ctr()
        .run(&[&call[..], flags, &[BASE, id], words].concat())?;
    let task = daemon.ctr().task(id)?;
    Freezer::of_process(&daemon.cgroup_root(), task.expect("a task").0)
}

/// A freeze can be missed on a busy machine: some commits are made to see one.
fn freezes_alone(daemon: &Daemon, id: &str, target: &Freezer, others: &[Freezer]) -> Result<bool> {
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut seen = false;
    for _ in 0..5 {
        let mut committing = freezeframe.start_commit_of(id, IMAGE, &["--debug"])?;
        committing.wait_for_stage("freeze")?;
        while committing.child.try_wait()?.is_none() {
            seen |= target.is_frozen();
            for other in others {
                assert!(!other.is_frozen(), "with {id} also {other:?}");
            }
        }
        committing.finish()?.succeeded()?;
        if seen {
            break;
        }
    }
    Ok(seen)
}
