//! Commits that are ended at random moments, again and again: the container runs on every time, and the next commit
//! removes what is left. For tests/long; the seed is printed, and `TORTURE_SEED` repeats it.

use crate::FREEZEFRAME;
use harness::{BASE, Container, Daemon, Leftovers, Result, Signal, wait_until};
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

const IMAGE: &str = "docker.io/library/tortured:latest";
const ROUNDS: u32 = 60;
/// Longer than a whole commit takes, in milliseconds.
const LATEST: u64 = 2500;
const SIGNALS: [Signal; 4] = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];

/// A linear congruential generator (Knuth's MMIX constants).
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let given = std::env::var("TORTURE_SEED").ok();
        let given = given.and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one(0));
        println!("TORTURE_SEED={seed}");
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn commits_that_are_ended_at_random_moments_leave_the_container_running() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, BASE, &["probe", "append-logs", "/logs", "9"])?;
    container.spawn(&["probe", "big", "/big", "64"])?;
    container.spawn(&["probe", "churn", "/work", "2000"])?;
    container.wait_for("/big")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let heartbeat = container.heartbeat()?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut random = Random::new();
    for round in 0..ROUNDS {
        let signal = SIGNALS[usize::try_from(random.below(4))?];
        let moment = Duration::from_millis(random.below(LATEST));
        let commit = freezeframe.start_commit(&container, IMAGE, &[])?;
        std::thread::sleep(moment);
        commit.signal(signal)?;
        commit.finish()?;
        let beats = heartbeat.beats()?;
        let what =
            format!("the container running on after round {round}: {signal:?} at {moment:?}");
        wait_until(&what, Duration::from_secs(3), || {
            Ok((heartbeat.beats()? > beats + 1).then_some(()))
        })?;
    }
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}
