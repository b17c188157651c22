//! A signal at each stage that `--debug` announces.

use super::{AT_ONCE, STALL, Scene, expect_death_by};
use harness::{Committing, Daemon, Result, Signal};
use std::thread::sleep;
use std::time::Duration;

const EARLY: [&str; 6] = ["resolve", "plan", "lock", "lease", "prepare", "scan"];
const LATE: [&str; 8] = [
    "copy", "freeze", "finish", "compare", "layer", "sync", "image", "release",
];
/// For signals that take the way of an interrupt.
const SOME: [&str; 5] = ["lease", "copy", "freeze", "layer", "image"];

#[test]
fn an_interrupt_at_an_early_stage_leaves_no_trace() -> Result {
    ended_at_each(&EARLY, Signal::INT)
}

#[test]
fn an_interrupt_at_a_late_stage_leaves_no_trace() -> Result {
    ended_at_each(&LATE, Signal::INT)
}

#[test]
fn a_termination_leaves_no_trace() -> Result {
    ended_at_each(&SOME, Signal::TERM)
}

#[test]
fn a_hangup_leaves_no_trace() -> Result {
    ended_at_each(&SOME, Signal::HUP)
}

#[test]
fn a_quit_leaves_no_trace() -> Result {
    ended_at_each(&SOME, Signal::QUIT)
}

#[test]
fn after_a_kill_at_an_early_stage_the_next_commit_cleans_up() -> Result {
    ended_at_each(&EARLY, Signal::KILL)
}

#[test]
fn after_a_kill_at_a_late_stage_the_next_commit_cleans_up() -> Result {
    ended_at_each(&LATE, Signal::KILL)
}

#[test]
fn a_commit_stopped_at_an_early_stage_goes_on_when_continued() -> Result {
    stopped_at_each(&EARLY)
}

#[test]
fn a_commit_stopped_at_a_late_stage_goes_on_when_continued() -> Result {
    stopped_at_each(&LATE)
}

fn ended_at_each(stages: &[&str], signal: Signal) -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    for stage in stages {
        let mut committing = scene.start()?;
        committing.wait_for_stage(stage)?;
        committing.signal(signal)?;
        if signal != Signal::KILL {
            // A terminal that closes sends one, and its shell another; timeout(1) sends two as well.
            sleep(Duration::from_millis(1));
            let _ = committing.signal(signal);
        }
        let commit = committing.finish()?;
        scene.wait_until_it_beats(AT_ONCE)?;
        // Once the image's record is being written, the commit ends as if there had been no signal.
        if stage_makes_the_image(stage) && commit.outcome.status.success() {
            scene.expect_nothing_left()?;
        } else {
            expect_death_by(signal, &commit);
            scene.expect_no_trace(signal, stage)?;
        }
        scene.expect_that_a_commit_works()?;
    }
    Ok(())
}

/// The signal is not the last word where something takes long to undo: here containerd does not answer.
#[test]
fn who_asks_again_later_need_not_wait_for_the_end() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    let committing = ask_twice(&daemon, &scene, Signal::INT)?;
    let commit = committing.finish_within(AT_ONCE);
    daemon.signal(Signal::CONT)?;
    let commit = commit?;
    let code = commit.outcome.status.code();
    assert_eq!(code, Some(128 + 2), "{}", commit.outcome.describe());
    scene.wait_until_it_beats(AT_ONCE)?;
    scene.expect_that_a_commit_works()
}

/// Whoever closes a terminal asks for no more than an end, however often that is heard.
#[test]
fn another_hangup_later_does_not_end_the_undoing() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    let committing = ask_twice(&daemon, &scene, Signal::HUP)?;
    daemon.signal(Signal::CONT)?;
    expect_death_by(Signal::HUP, &committing.finish()?);
    scene.expect_no_trace(Signal::HUP, "copy")
}

/// The second signal, so much later, is of another wish. Whatever is to be undone waits: containerd does not answer.
fn ask_twice(daemon: &Daemon, scene: &Scene, signal: Signal) -> Result<Committing> {
    let mut committing = scene.start()?;
    committing.wait_for_stage("copy")?;
    daemon.signal(Signal::STOP)?;
    committing.signal(signal)?;
    sleep(Duration::from_millis(1500));
    committing.signal(signal)?;
    Ok(committing)
}

fn stage_makes_the_image(stage: &str) -> bool {
    matches!(stage, "image" | "release")
}

fn stopped_at_each(stages: &[&str]) -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    for stage in stages {
        let mut committing = scene.start()?;
        committing.wait_for_stage(stage)?;
        committing.stop()?;
        // Nowhere else it may be frozen.
        let limit = if *stage == "freeze" { STALL } else { AT_ONCE };
        scene.wait_until_it_beats(limit)?;
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded()?;
        scene.expect_nothing_left()?;
    }
    Ok(())
}
