//! containerd stops answering, ends, or is restarted, at every stage of a commit.

use super::Fleet;
use harness::{Daemon, Result, Signal};
use std::thread::sleep;
use std::time::Duration;

/// Of the fourteen commits of a fleet: the one that was as good as done, and those that find it again.
const FEW: usize = 1;
const MANY: usize = 9;

#[test]
fn a_containerd_that_no_longer_answers_is_said_at_every_stage() -> Result {
    let daemon = Daemon::start()?;
    let fleet = Fleet::of(&daemon)?;
    let commits = fleet.start_and_stop()?;
    daemon.signal(Signal::STOP)?;
    let commits = Fleet::finish(commits);
    daemon.signal(Signal::CONT)?;
    let made = fleet.expect_success_or(&commits?, &["containerd", "does not answer"])?;
    assert!(made <= FEW, "{made} commits felt nothing");
    fleet.expect_running()?;
    fleet.expect_that_commits_work_and_nothing_is_left()
}

#[test]
fn a_containerd_that_was_killed_is_said_at_every_stage() -> Result {
    let daemon = Daemon::start()?;
    let fleet = Fleet::of(&daemon)?;
    let commits = fleet.start_and_stop()?;
    daemon.end(Signal::KILL)?;
    let commits = Fleet::finish(commits);
    daemon.start_again()?;
    let made = fleet.expect_success_or(&commits?, &["containerd"])?;
    assert!(made <= FEW, "{made} commits felt nothing");
    fleet.expect_running()?;
    fleet.expect_that_commits_work_and_nothing_is_left()
}

#[test]
fn a_containerd_that_is_restarted_at_whatever_stage_is_found_again() -> Result {
    let daemon = Daemon::start()?;
    let fleet = Fleet::of(&daemon)?;
    let commits = fleet.start_and_stop()?;
    daemon.end(Signal::TERM)?;
    daemon.start_again()?;
    let commits = Fleet::finish(commits)?;
    let made = fleet.expect_success_or(&commits, &["containerd"])?;
    assert!(made >= MANY, "only {made} commits found it again");
    fleet.expect_running()?;
    fleet.expect_that_commits_work_and_nothing_is_left()
}

/// Calls are under way when it is killed.
#[test]
fn a_containerd_that_is_killed_and_restarted_while_commits_go_on_leaves_nothing() -> Result {
    let daemon = Daemon::start()?;
    let fleet = Fleet::of(&daemon)?;
    let commits = fleet.start_and_stop()?;
    for commit in &commits {
        commit.signal(Signal::CONT)?;
    }
    daemon.end(Signal::KILL)?;
    sleep(Duration::from_millis(300));
    daemon.start_again()?;
    let commits = Fleet::finish(commits)?;
    fleet.expect_success_or(&commits, &["containerd"])?;
    fleet.expect_running()?;
    fleet.expect_that_commits_work_and_nothing_is_left()
}
