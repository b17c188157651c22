//! Whatever fails in the midst of a commit, and at whatever stage: it ends with an image or a clear
//! error within a bound, the container runs on, and after the next commit nothing of it is left.
//!
//! A fleet has a container for every stage. Each of their commits is stopped (SIGSTOP) at the
//! beginning of its own, so that one misfortune hits all stages at once.

mod containerd;
mod disk;
mod expiry;
mod limits;
mod records;

use crate::FREEZEFRAME;
use harness::{Commit, Committing, Container, Daemon, Freezeframe, Heartbeat, Leftovers, Result};
use harness::{Signal, View, wait_until};
use std::fs;
use std::time::Duration;

/// All that `--debug` announces of a direct commit.
const STAGES: [&str; 14] = [
    "resolve", "plan", "lock", "lease", "prepare", "scan", "copy", "freeze", "finish", "compare",
    "layer", "sync", "image", "release",
];
/// How long a commit may take to end, on a busy machine.
const BOUND: Duration = Duration::from_secs(150);

struct Ship<'d> {
    stage: &'static str,
    container: Container<'d>,
    heartbeat: Heartbeat,
    image: String,
}

impl<'d> Ship<'d> {
    fn new(daemon: &'d Daemon, stage: &'static str) -> Result<Self> {
        let container = daemon.run(&["sleep", "1000"])?;
        container.output(&["dd", "if=/dev/urandom", "of=/bulk", "bs=1M", "count=8"])?;
        Ok(Self {
            stage,
            heartbeat: container.heartbeat()?,
            image: format!("docker.io/library/{stage}:latest"),
            container,
        })
    }

    fn start(&self, freezeframe: &Freezeframe) -> Result<Committing> {
        freezeframe.start_commit(&self.container, &self.image, &["--debug"])
    }

    /// A commit that stands still at the beginning of its stage.
    fn start_and_stop(&self, freezeframe: &Freezeframe) -> Result<Committing> {
        let mut committing = self.start(freezeframe)?;
        committing.wait_for_stage(self.stage)?;
        committing.stop()?;
        Ok(committing)
    }

    fn expect_running(&self) -> Result {
        let stage = self.stage;
        assert_eq!(
            self.container.status()?.as_deref(),
            Some("running"),
            "{stage}"
        );
        assert!(!self.container.freezer()?.is_frozen(), "{stage}");
        let beats = self.heartbeat.beats()?;
        wait_until(stage, Duration::from_secs(10), || {
            Ok((self.heartbeat.beats()? > beats + 1).then_some(()))
        })
    }

    /// It ended well, with an image, or with one line that has all of `words`; the report says the same.
    fn expect_success_or(&self, commit: &Commit, words: &[&str]) -> Result {
        let (outcome, report) = (&commit.outcome, &commit.report);
        if outcome.status.success() {
            assert_eq!(report["result"], "ok", "{}", self.stage);
            return self.expect_image(&outcome.text());
        }
        let described = format!("{}: {}", self.stage, outcome.describe());
        assert_eq!(outcome.status.code(), Some(1), "{described}");
        assert_eq!(report["result"], "error", "{described}");
        let said = outcome.error_text();
        assert!(!said.contains("panicked"), "{described}");
        let is_fatal = |line: &&str| line.split(" msg=").next().unwrap_or(line).contains("fatal");
        let errors: Vec<_> = said.lines().filter(is_fatal).collect();
        assert_eq!(errors.len(), 1, "{described}");
        // What the real nerdctl says is its own.
        if report["strategy"] != "delegate" {
            let reported = report["error"].as_str().unwrap_or_default();
            for word in words {
                let is_said = errors[0].contains(word) && reported.contains(word);
                assert!(is_said, "{described}\n{report:#}");
            }
        }
        Ok(())
    }

    /// The one with this digest, and what the container has.
    fn expect_image(&self, digest: &str) -> Result {
        let daemon = self.container.daemon();
        let manifest = daemon.ctr().manifest(&self.image)?;
        assert_eq!(manifest["config"]["digest"], digest, "{}", self.stage);
        let made = fs::read(View::snapshot(daemon, &self.image)?.path().join("bulk"))?;
        let wanted = fs::read(self.container.root()?.join("bulk"))?;
        assert!(made == wanted, "{}: another content", self.stage);
        Ok(())
    }
}

#[test]
fn all_stages_are_known_here() -> Result {
    let daemon = Daemon::start()?;
    let ship = Ship::new(&daemon, STAGES[0])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(&ship.container, &ship.image, &["--debug"])?;
    let said = commit.succeeded()?.outcome.error_text();
    let stages = said.lines().filter_map(|line| {
        let stage = line.split_once("msg=\"stage ")?.1;
        stage.strip_suffix('"')
    });
    assert_eq!(stages.collect::<Vec<_>>(), STAGES);
    Ok(())
}

struct Fleet<'d> {
    ships: Vec<Ship<'d>>,
    freezeframe: Freezeframe<'d>,
    before: Leftovers,
}

impl<'d> Fleet<'d> {
    fn of(daemon: &'d Daemon) -> Result<Self> {
        let ships = STAGES.map(|stage| Ship::new(daemon, stage));
        let ships: Vec<Ship> = ships.into_iter().collect::<Result<_>>()?;
        daemon.ctr().collect_garbage()?;
        Ok(Self {
            before: Leftovers::now(&ships[0].container)?,
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
            ships,
        })
    }

    /// Each ship's commit, at its stage.
    fn start_and_stop(&self) -> Result<Vec<Committing>> {
        let ships = self.ships.iter();
        ships
            .map(|ship| ship.start_and_stop(&self.freezeframe))
            .collect()
    }

    /// Goes on to the end of all.
    fn finish(commits: Vec<Committing>) -> Result<Vec<Commit>> {
        commits
            .iter()
            .try_for_each(|commit| commit.signal(Signal::CONT))?;
        let commits = commits.into_iter();
        commits.map(|commit| commit.finish_within(BOUND)).collect()
    }

    /// Returns how many have succeeded.
    fn expect_success_or(&self, commits: &[Commit], words: &[&str]) -> Result<usize> {
        for (ship, commit) in self.ships.iter().zip(commits) {
            ship.expect_success_or(commit, words)?;
        }
        let succeeded = |commit: &&Commit| commit.outcome.status.success();
        Ok(commits.iter().filter(succeeded).count())
    }

    fn expect_running(&self) -> Result {
        self.ships.iter().try_for_each(Ship::expect_running)
    }

    /// Every container can be committed, and then there is nothing left but the images.
    fn expect_that_commits_work_and_nothing_is_left(&self) -> Result {
        for ship in &self.ships {
            let commit = self.freezeframe.commit(&ship.container, &ship.image, &[])?;
            commit.succeeded()?;
            ship.expect_running()?;
        }
        self.expect_nothing_but_images()
    }

    fn expect_nothing_but_images(&self) -> Result {
        self.remove_images()?;
        let now = Leftovers::now(&self.ships[0].container)?;
        self.before.assert_unchanged(&now);
        Ok(())
    }

    fn remove_images(&self) -> Result {
        let ctr = self.ships[0].container.daemon().ctr();
        let images = ctr.run(&["images", "ls", "--quiet"])?;
        for ship in &self.ships {
            if images.lines().any(|image| image == ship.image) {
                ctr.run(&["images", "rm", "--sync", &ship.image])?;
            }
        }
        Ok(())
    }
}
