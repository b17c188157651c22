//! A commit that is stopped itself while it waits for a process that is stuck.

use super::{BOUND, IMAGE, has_throttles, throttle, wait_until_stuck, writing_slowly};
use crate::FREEZEFRAME;
use harness::{Daemon, Freezer, Result, Signal, View, wait_until};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than another try may wait; the watchdog, which thaws after five seconds, has nothing to do yet.
const STANDSTILL: Duration = Duration::from_millis(1500);

/// The freeze is given up, as nothing tells how long it would have taken. What had frozen by then felt all of it.
#[test]
fn a_freeze_in_which_the_commit_stood_still_counts_and_is_tried_again() -> Result {
    if !has_throttles()? {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let (container, disk) = writing_slowly(&daemon)?;
    wait_until_stuck(&container)?;
    let freezer = container.freezer()?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    wait_until("a freeze under way", BOUND, || {
        Ok(is_freezing(&freezer)?.then_some(()))
    })?;
    committing.stop()?;
    let since = Instant::now();
    assert!(is_freezing(&freezer)?, "stopped too late");
    sleep(STANDSTILL);
    assert!(is_freezing(&freezer)?, "somebody has thawed it");
    let stopped = since.elapsed().as_secs_f64() * 1e3;
    committing.signal(Signal::CONT)?;
    throttle(&container, &disk, 0)?;
    let commit = committing.finish()?.succeeded()?;
    let frozen = commit.frozen_ms();
    assert!(frozen >= stopped, "{frozen} {stopped}");
    assert_eq!(
        View::snapshot(&daemon, IMAGE)?.read("/srv/plain")?,
        "changed\n"
    );
    Ok(())
}

/// On version 1.
fn is_freezing(freezer: &Freezer) -> Result<bool> {
    let state = fs::read_to_string(freezer.folder().join("freezer.state"))?;
    Ok(state.starts_with("FREEZING"))
}
