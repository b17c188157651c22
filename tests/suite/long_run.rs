//! Commit after commit of a container whose writers keep a law across their files (by pwrite,
//! through mappings, past the page cache, renaming, rotating), some of them killed at a random
//! moment: no commit fails, no image breaks the law, nothing is left.
//!
//! A thousand for tests/long, a few in the ordinary run. The seed is printed, and
//! `TORTURE_SEED` repeats it.

use crate::FREEZEFRAME;
use crate::torture::Random;
use harness::{
    Container, Daemon, FileSystem, Freezeframe, Heartbeat, Leftovers, Result, Signal, View,
    check_law, wait_until,
};
use std::time::{Duration, Instant};

const IMAGE: &str = "docker.io/library/lawful:latest";
/// The law's logs grow for ever, so containers take turns.
const COMMITS_OF_ONE: u32 = 50;
/// So many of a hundred are killed.
const KILLED: u64 = 30;
const SIGNALS: [Signal; 3] = [Signal::KILL, Signal::TERM, Signal::INT];
const BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_few_commits_with_kills_at_random_keep_the_law() -> Result {
    commits_keep_the_law(FileSystem::Ext4, 8)
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn four_hundred_commits_with_kills_at_random_keep_the_law_on_ext4() -> Result {
    commits_keep_the_law(FileSystem::Ext4, 400)
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn three_hundred_commits_with_kills_at_random_keep_the_law_on_xfs() -> Result {
    commits_keep_the_law(FileSystem::Xfs, 300)
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn three_hundred_commits_with_kills_at_random_keep_the_law_on_btrfs() -> Result {
    commits_keep_the_law(FileSystem::Btrfs, 300)
}

fn commits_keep_the_law(file_system: FileSystem, count: u32) -> Result {
    let daemon = Daemon::start_on(file_system)?;
    let (mut random, mut tally) = (Random::new(), Tally::default());
    let began = Instant::now();
    while tally.commits < count {
        let part = COMMITS_OF_ONE.min(count - tally.commits);
        Run::of(Container::with_law(&daemon)?)?.go_through(part, &mut random, &mut tally)?;
        println!("{file_system:?}, after {:.0?}: {tally:?}", began.elapsed());
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Tally {
    commits: u32,
    killed: u32,
    /// In milliseconds, of those that were not.
    longest_freeze: f64,
}

struct Run<'d> {
    container: Container<'d>,
    freezeframe: Freezeframe<'d>,
    heartbeat: Heartbeat,
    before: Leftovers,
    /// How long a commit takes.
    length: Duration,
}

impl<'d> Run<'d> {
    fn of(container: Container<'d>) -> Result<Self> {
        let daemon = container.daemon();
        daemon.ctr().collect_garbage()?;
        Ok(Self {
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
            heartbeat: container.heartbeat()?,
            before: Leftovers::now(&container)?,
            length: Duration::from_millis(200),
            container,
        })
    }

    fn go_through(mut self, count: u32, random: &mut Random, tally: &mut Tally) -> Result {
        for index in 0..count {
            // The last one removes what those before it left.
            if index + 1 < count && random.below(100) < KILLED {
                self.kill_one(random)?;
                tally.killed += 1;
            } else {
                let frozen = self.commit()?;
                tally.longest_freeze = tally.longest_freeze.max(frozen);
            }
            tally.commits += 1;
        }
        self.expect_nothing_left()
    }

    fn commit(&mut self) -> Result<f64> {
        let began = Instant::now();
        let commit = self
            .freezeframe
            .commit(&self.container, IMAGE, &[])?
            .succeeded()?;
        self.length = began.elapsed();
        assert_eq!(commit.report["strategy"], "direct");
        self.expect_lawful_image()?;
        Ok(commit.frozen_ms())
    }

    fn kill_one(&self, random: &mut Random) -> Result {
        let signal = SIGNALS[usize::try_from(random.below(3))?];
        let longest = u64::try_from(self.length.as_micros())?;
        let moment = Duration::from_micros(random.below(longest));
        let committing = self.freezeframe.start_commit(&self.container, IMAGE, &[])?;
        std::thread::sleep(moment);
        committing.signal(signal)?;
        let is_done = committing.finish()?.outcome.status.success();
        let what = format!("the container running on after {signal:?} at {moment:?}");
        let beats = self.heartbeat.beats()?;
        wait_until(&what, BOUND, || {
            Ok((self.heartbeat.beats()? > beats + 1).then_some(()))
        })?;
        // It may have been too late, for all of it or for the record.
        if is_done {
            self.expect_lawful_image()
        } else {
            Ok(())
        }
    }

    fn expect_lawful_image(&self) -> Result {
        let daemon = self.container.daemon();
        check_law(daemon, &View::snapshot(daemon, IMAGE)?.path().join("law"))
    }

    fn expect_nothing_left(self) -> Result {
        let daemon = self.container.daemon();
        daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
        daemon.ctr().collect_garbage()?;
        self.before
            .assert_unchanged(&Leftovers::now(&self.container)?);
        self.container.remove()
    }
}
