//! Paused and unpaused in the middle: a pause holds whoever freezes beside it.

use super::{IMAGE, PATIENCE, Scene, nothing};
use harness::{Committing, Container, Daemon, Result, Signal, wait_until};
use std::fs;

#[test]
fn a_container_that_is_unpaused_meanwhile_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, Container::pause)?;
    scene.at_every_stage(Container::unpause, Some("running"), Container::pause)
}

/// It has run in between, though no look at its state shows that.
#[test]
fn a_paused_container_that_runs_in_between_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, Container::pause)?;
    let run = |container: &Container| {
        container.unpause()?;
        std::thread::sleep(std::time::Duration::from_millis(100));
        container.pause()
    };
    scene.at_every_stage(run, Some("paused"), nothing)
}

/// At these stages the freeze is over.
const THAWED: [&str; 3] = ["finish", "layer", "image"];

#[test]
fn a_container_that_is_paused_meanwhile_is_taken_at_one_moment_and_stays_paused() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    for stage in super::STAGES {
        let mut paused = false;
        // One that we have frozen cannot be paused: nothing of it runs.
        let pause = |container: &Container| {
            paused = container.pause().is_ok();
            Ok(())
        };
        scene.commit_while(stage, pause)?.succeeded()?;
        assert!(paused || !THAWED.contains(&stage), "frozen at {stage}");
        scene.expect_state(Some(if paused { "paused" } else { "running" }), stage)?;
        scene.expect_lawful_image(stage)?;
        if paused {
            scene.container.unpause()?;
        }
    }
    scene.expect_nothing_left()
}

/// The freeze is all but there, its watchdog started. Undone even for an instant, the pause
/// would not hold for those who rely on it.
#[test]
fn a_pause_made_just_before_our_freeze_is_never_undone() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    let heartbeat = scene.container.heartbeat()?;
    let mut paused = 0;
    for _ in 0..20 {
        let committing = start_and_stop_before_the_freeze(&scene)?;
        // Where it has frozen already, nothing runs that could be paused.
        let is_paused = scene.container.pause().is_ok();
        let beats = heartbeat.beats()?;
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded()?;
        if is_paused {
            assert_eq!(heartbeat.beats()?, beats, "paused, but it ran");
            scene.expect_state(Some("paused"), "the pause")?;
            scene.expect_lawful_image("the pause")?;
            scene.container.unpause()?;
            paused += 1;
        }
        if paused == 5 {
            return Ok(());
        }
    }
    panic!("only {paused} of 20 pauses came before the freeze");
}

/// containerd knows nothing of it, as it knows nothing of ours.
#[test]
fn a_freeze_by_another_just_before_ours_is_never_undone() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    let heartbeat = scene.container.heartbeat()?;
    let freezer = scene.container.freezer()?;
    let mut before_ours = 0;
    for _ in 0..20 {
        let committing = start_and_stop_before_the_freeze(&scene)?;
        let is_first = !freezer.is_frozen();
        freezer.set_frozen(true)?;
        wait_until("the freeze", PATIENCE, || {
            Ok(freezer.is_frozen().then_some(()))
        })?;
        let beats = heartbeat.beats()?;
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded()?;
        if is_first {
            assert!(freezer.is_frozen(), "thawed");
            assert_eq!(heartbeat.beats()?, beats, "frozen, but it ran");
            before_ours += 1;
        }
        freezer.set_frozen(false)?;
        scene.expect_lawful_image("the freeze")?;
        if before_ours == 5 {
            return Ok(());
        }
    }
    panic!("only {before_ours} of 20 freezes came before ours");
}

fn start_and_stop_before_the_freeze(scene: &Scene) -> Result<Committing> {
    let mut committing = scene
        .freezeframe
        .start_commit(&scene.container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("freeze")?;
    let commit = committing.child.id();
    while !has_watchdog(commit) && committing.child.try_wait()?.is_none() {}
    committing.stop()?;
    Ok(committing)
}

fn has_watchdog(commit: u32) -> bool {
    let children = fs::read_to_string(format!("/proc/{commit}/task/{commit}/children"));
    let children = children.unwrap_or_default();
    !children.trim().is_empty()
}
