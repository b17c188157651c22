//! What a lease owns goes when it expires, after three minutes, without another commit. For
//! tests/long; the relay, and an expiry within seconds, are tests of the lease itself.

use super::{Fleet, Ship};
use harness::{Daemon, Leftovers, Result, Signal, wait_until};
use std::thread::sleep;
use std::time::Duration;

/// As long as a lease lives, and some.
const LIFETIME: Duration = Duration::from_secs(200);

#[test]
#[ignore = "takes minutes: tests/long"]
fn what_killed_commits_made_goes_by_itself() -> Result {
    let daemon = Daemon::start()?;
    let fleet = Fleet::of(&daemon)?;
    let commits = fleet.start_and_stop()?;
    commits
        .iter()
        .try_for_each(|commit| commit.signal(Signal::KILL))?;
    Fleet::finish(commits)?;
    fleet.expect_running()?;
    fleet.remove_images()?;
    let left = || -> Result<Vec<String>> {
        daemon.ctr().collect_garbage()?;
        let now = Leftovers::now(&fleet.ships[0].container)?;
        Ok(fleet.before.changes(&now))
    };
    assert!(!left()?.is_empty(), "there is nothing to expire");
    let gone = wait_until("the leases' expiry", LIFETIME, || {
        sleep(Duration::from_secs(1));
        Ok(left()?.is_empty().then_some(()))
    });
    assert!(gone.is_ok(), "left behind: {:?}", left()?);
    Ok(())
}

/// Its lease expires under it, and all that it has made by then goes.
#[test]
#[ignore = "takes minutes: tests/long"]
fn a_commit_that_stands_still_for_longer_than_its_lease_lives_is_said() -> Result {
    let daemon = Daemon::start()?;
    let fleet = Fleet::of(&daemon)?;
    let commits = fleet.start_and_stop()?;
    sleep(LIFETIME);
    daemon.ctr().collect_garbage()?;
    let commits = Fleet::finish(commits)?;
    let made = fleet.expect_success_or(&commits, &[])?;
    // Those that had none yet, and the one that was as good as done.
    assert!(made <= 5, "{made} commits felt nothing");
    fleet.ships.iter().try_for_each(Ship::expect_running)?;
    fleet.expect_that_commits_work_and_nothing_is_left()
}
