//! A signal in the middle of the freeze: the container runs again at once, at the latest
//! when the watchdog or the next commit sees to it.

use super::{AT_ONCE, STALL, Scene, expect_death_by};
use crate::FREEZEFRAME;
use harness::{Daemon, Result, Signal, wait_until};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn an_interrupt_or_a_hangup_during_the_freeze_thaws_at_once() -> Result {
    ended_while_frozen([Signal::INT, Signal::HUP])
}

#[test]
fn a_termination_or_a_kill_during_the_freeze_thaws_at_once() -> Result {
    ended_while_frozen([Signal::TERM, Signal::KILL])
}

fn ended_while_frozen(signals: [Signal; 2]) -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    for signal in signals {
        let committing = scene.hold()?;
        committing.signal(signal)?;
        committing.signal(Signal::CONT)?;
        scene.wait_until_it_beats(AT_ONCE)?;
        expect_death_by(signal, &committing.finish()?);
        scene.expect_no_trace(signal, "freeze")?;
        scene.expect_that_a_commit_works()?;
    }
    Ok(())
}

#[test]
fn a_commit_that_stalls_while_frozen_is_thawed_by_the_watchdog() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    sleep(Duration::from_secs(2));
    assert!(scene.container.freezer()?.is_frozen(), "it did not stall");
    scene.wait_until_it_beats(STALL)?;
    assert!(!scene.container.freezer()?.is_frozen());
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    scene.expect_nothing_left()?;
    scene.expect_that_a_commit_works()
}

/// It gives what was asked for, and a second more.
#[test]
fn the_watchdog_thaws_sooner_or_later_as_the_freeze_may_last() -> Result {
    let daemon = Daemon::start()?;
    let mut scene = Scene::that_freezes_long(&daemon)?;
    for (most, is_short) in [("1s", true), ("1m", false)] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        scene.freezeframe = freezeframe.with("FREEZEFRAME_MAX_PAUSE", most);
        let committing = scene.hold()?;
        if is_short {
            scene.wait_until_it_beats(AT_ONCE)?;
        } else {
            sleep(STALL);
        }
        assert_ne!(scene.container.freezer()?.is_frozen(), is_short, "{most}");
        committing.signal(Signal::CONT)?;
        committing.finish()?;
        scene.wait_until_it_beats(AT_ONCE)?;
    }
    Ok(())
}

#[test]
fn a_commit_stopped_for_a_moment_while_frozen_goes_on() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    let stopped = Duration::from_millis(300);
    sleep(stopped);
    assert!(scene.container.freezer()?.is_frozen(), "it did not stop");
    committing.signal(Signal::CONT)?;
    let frozen = committing.finish()?.succeeded()?.frozen_ms();
    assert!(frozen >= stopped.as_secs_f64() * 1e3, "{frozen}");
    scene.expect_nothing_left()
}

/// Ctrl-Z stops it, but not before the container runs again.
#[test]
fn a_terminals_stop_waits_for_the_thaw() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.start_and_wait_until_frozen()?;
    committing.signal(Signal::TSTP)?;
    wait_until("it being stopped", Duration::from_secs(4), || {
        Ok((committing.state()? == 'T').then_some(()))
    })?;
    assert!(!scene.container.freezer()?.is_frozen(), "stopped frozen");
    scene.wait_until_it_beats(AT_ONCE)?;
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    scene.expect_nothing_left()
}

#[test]
fn the_next_commit_thaws_what_a_dead_commit_and_its_dead_watchdog_left() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    // Stopped, or either would thaw when the other is gone.
    committing.signal_watchdog(Signal::KILL)?;
    committing.signal(Signal::KILL)?;
    expect_death_by(Signal::KILL, &committing.finish()?);
    sleep(Duration::from_millis(300));
    assert!(
        scene.container.freezer()?.is_frozen(),
        "somebody thawed it already"
    );
    scene.expect_that_a_commit_works()
}
