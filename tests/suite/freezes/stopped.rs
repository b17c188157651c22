//! A commit that is stopped itself while it waits for a process that is stuck.

use super::{BOUND, commit_beside_stuck, state_of};
use harness::{Result, Signal, wait_until};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Longer than another try may wait; the watchdog, which thaws after five seconds, has nothing to do yet.
const STANDSTILL: Duration = Duration::from_millis(1500);

/// The freeze is given up, as nothing tells how long it would have taken. What had frozen by then felt all of it.
#[test]
fn a_freeze_in_which_the_commit_stood_still_counts_and_is_tried_again() -> Result {
    let tried = commit_beside_stuck(|committing, freezer| {
        let is_freezing = || -> Result<bool> { Ok(state_of(freezer)?.starts_with("FREEZING")) };
        wait_until("a freeze under way", BOUND, || {
            Ok(is_freezing()?.then_some(()))
        })?;
        committing.stop()?;
        let since = Instant::now();
        assert!(is_freezing()?, "stopped too late");
        sleep(STANDSTILL);
        assert!(is_freezing()?, "somebody has thawed it");
        let stopped = since.elapsed().as_secs_f64() * 1e3;
        committing.signal(Signal::CONT)?;
        Ok(stopped)
    })?;
    if let Some((stopped, commit)) = tried {
        let frozen = commit.frozen_ms();
        assert!(frozen >= stopped, "{frozen} {stopped}");
    }
    Ok(())
}
