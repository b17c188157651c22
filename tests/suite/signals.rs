//! Whatever signal hits a commit, at whatever stage: the container runs on, the next
//! commit works, and after it nothing of the first is left.
//!
//! `--debug` announces each stage; the signal is sent when the line appears. For the
//! freeze the tests look at the freezer itself, and at a container whose large file
//! never holds still, so that the freeze lasts.

mod frozen;
mod stages;
mod watchdog;

use crate::FREEZEFRAME;
use harness::{
    Commit, Committing, Container, Daemon, Freezeframe, Heartbeat, Leftovers, Result, Signal,
    wait_until,
};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// From here on the image may exist when the signal is seen.
const MAY_HAVE_MADE_THE_IMAGE: [&str; 2] = ["image", "release"];
const REFERENCE: &str = "docker.io/library/interrupted:latest";
/// The watchdog thaws after five seconds.
const STALL: Duration = Duration::from_secs(7);
/// Less than it takes the watchdog to find a commit late, and enough on a busy machine.
pub const AT_ONCE: Duration = Duration::from_secs(4);

/// A container that is committed, and what there was before that.
struct Scene<'d> {
    container: Container<'d>,
    heartbeat: Heartbeat,
    freezeframe: Freezeframe<'d>,
    before: Leftovers,
}

impl<'d> Scene<'d> {
    fn of(container: Container<'d>) -> Result<Self> {
        container.daemon().ctr().collect_garbage()?;
        Ok(Self {
            heartbeat: container.heartbeat()?,
            freezeframe: container.daemon().freezeframe(FREEZEFRAME)?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    /// With enough in it that copying and compressing take a moment.
    fn with_bulk(daemon: &'d Daemon) -> Result<Self> {
        let container = daemon.run(&["sleep", "1000"])?;
        container.output(&["dd", "if=/dev/zero", "of=/bulk", "bs=1M", "count=100"])?;
        Self::of(container)
    }

    fn that_freezes_long(daemon: &'d Daemon) -> Result<Self> {
        let container = daemon.run(&["probe", "big", "/big", "64"])?;
        container.wait_for("/big")?;
        Self::of(container)
    }

    fn start(&self) -> Result<Committing> {
        self.freezeframe
            .start_commit(&self.container, REFERENCE, &["--debug"])
    }

    fn start_and_wait_until_frozen(&self) -> Result<Committing> {
        self.freezeframe
            .start_commit_until_frozen(&self.container, REFERENCE)
    }

    /// A commit that stands still while the container is frozen.
    fn hold(&self) -> Result<Committing> {
        self.freezeframe
            .hold_commit_in_freeze(&self.container, REFERENCE)
    }

    fn wait_until_it_beats(&self, limit: Duration) -> Result {
        let beats = self.heartbeat.beats()?;
        wait_until("the container running on", limit, || {
            Ok((self.heartbeat.beats()? > beats + 1).then_some(()))
        })
    }

    /// What only the next commit can clean up is not asked for here.
    fn expect_no_trace(&self, signal: Signal, stage: &str) -> Result {
        if signal != Signal::KILL && !MAY_HAVE_MADE_THE_IMAGE.contains(&stage) {
            let changes = self.before.changes(&Leftovers::now(&self.container)?);
            assert!(changes.is_empty(), "{signal:?} at {stage}: {changes:?}");
        }
        Ok(())
    }

    fn expect_that_a_commit_works(&self) -> Result {
        let commit = self.freezeframe.commit(&self.container, REFERENCE, &[])?;
        commit.succeeded()?;
        self.wait_until_it_beats(AT_ONCE)?;
        self.expect_nothing_left()
    }

    /// Nothing but the image, that is.
    fn expect_nothing_left(&self) -> Result {
        let ctr = self.container.daemon().ctr();
        ctr.run(&["images", "rm", "--sync", REFERENCE])?;
        self.before
            .assert_unchanged(&Leftovers::now(&self.container)?);
        Ok(())
    }
}

fn expect_death_by(signal: Signal, commit: &Commit) {
    let died_of = commit.outcome.status.signal();
    assert_eq!(
        died_of,
        Some(signal.as_raw()),
        "{}",
        commit.outcome.describe()
    );
}
