//! Whatever signal hits a commit, at whatever stage: the container runs on, the next
//! commit works, and after it nothing of the first is left.
//!
//! `--debug` announces each stage; the signal is sent when the line appears. For the
//! freeze the tests look at the freezer itself, and at a container whose large file
//! never holds still, so that the freeze lasts.

use crate::FREEZEFRAME;
use harness::{
    Commit, Committing, Container, Daemon, Freezeframe, Heartbeat, Leftovers, Result, Signal,
    wait_until,
};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

const EARLY: [&str; 6] = ["resolve", "plan", "lock", "lease", "prepare", "scan"];
const LATE: [&str; 7] = [
    "copy", "freeze", "finish", "layer", "sync", "image", "release",
];
/// From here on the image may exist when the signal is seen.
const MAY_HAVE_MADE_THE_IMAGE: [&str; 2] = ["image", "release"];
const REFERENCE: &str = "docker.io/library/interrupted:latest";
/// The watchdog thaws after five seconds.
const STALL: Duration = Duration::from_secs(7);

#[test]
fn an_interrupt_at_an_early_stage_leaves_no_trace() -> Result {
    ended_at_each(&EARLY, Signal::INT)
}

#[test]
fn an_interrupt_at_a_late_stage_leaves_no_trace() -> Result {
    ended_at_each(&LATE, Signal::INT)
}

#[test]
fn a_termination_at_an_early_stage_leaves_no_trace() -> Result {
    ended_at_each(&EARLY, Signal::TERM)
}

#[test]
fn a_termination_at_a_late_stage_leaves_no_trace() -> Result {
    ended_at_each(&LATE, Signal::TERM)
}

#[test]
fn a_hangup_at_an_early_stage_leaves_no_trace() -> Result {
    ended_at_each(&EARLY, Signal::HUP)
}

#[test]
fn a_hangup_at_a_late_stage_leaves_no_trace() -> Result {
    ended_at_each(&LATE, Signal::HUP)
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
        let committing = scene.start_and_wait_until_frozen()?;
        committing.signal(signal)?;
        scene.wait_until_it_beats(Duration::from_secs(1))?;
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
    let committing = scene.start_and_wait_until_frozen()?;
    committing.signal(Signal::STOP)?;
    sleep(Duration::from_secs(2));
    assert!(scene.container.freezer()?.is_frozen(), "it did not stall");
    scene.wait_until_it_beats(STALL)?;
    assert!(!scene.container.freezer()?.is_frozen());
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    scene.expect_nothing_left()?;
    scene.expect_that_a_commit_works()
}

#[test]
fn a_commit_stopped_for_a_moment_while_frozen_goes_on() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.start_and_wait_until_frozen()?;
    committing.signal(Signal::STOP)?;
    sleep(Duration::from_millis(300));
    assert!(scene.container.freezer()?.is_frozen(), "it did not stop");
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
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
        Ok((state_of(committing.child.id())? == 'T').then_some(()))
    })?;
    assert!(!scene.container.freezer()?.is_frozen(), "stopped frozen");
    scene.wait_until_it_beats(Duration::from_secs(1))?;
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    scene.expect_nothing_left()
}

#[test]
fn the_next_commit_thaws_what_a_dead_commit_and_its_dead_watchdog_left() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.start_and_wait_until_frozen()?;
    // Stopped first, or either would thaw when the other is gone.
    committing.signal(Signal::STOP)?;
    kill_child(committing.child.id(), "watchdog")?;
    committing.signal(Signal::KILL)?;
    expect_death_by(Signal::KILL, &committing.finish()?);
    sleep(Duration::from_millis(300));
    assert!(
        scene.container.freezer()?.is_frozen(),
        "somebody thawed it already"
    );
    scene.expect_that_a_commit_works()
}

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
        let container = daemon.run(&["probe", "big", "/big", "96"])?;
        container.wait_for("/big")?;
        Self::of(container)
    }

    fn start(&self) -> Result<Committing> {
        self.freezeframe
            .start_commit(&self.container, REFERENCE, &["--debug"])
    }

    fn start_and_wait_until_frozen(&self) -> Result<Committing> {
        let mut committing = self.start()?;
        committing.wait_for_stage("freeze")?;
        let freezer = self.container.freezer()?;
        let start = Instant::now();
        while !freezer.is_frozen() {
            assert!(start.elapsed() < Duration::from_secs(5), "never frozen");
        }
        Ok(committing)
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
        self.wait_until_it_beats(Duration::from_secs(1))?;
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

fn ended_at_each(stages: &[&str], signal: Signal) -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    for stage in stages {
        let mut committing = scene.start()?;
        committing.wait_for_stage(stage)?;
        committing.signal(signal)?;
        let commit = committing.finish()?;
        scene.wait_until_it_beats(Duration::from_secs(1))?;
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

fn stage_makes_the_image(stage: &str) -> bool {
    matches!(stage, "image" | "release")
}

fn stopped_at_each(stages: &[&str]) -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    for stage in stages {
        let mut committing = scene.start()?;
        committing.wait_for_stage(stage)?;
        committing.signal(Signal::STOP)?;
        wait_until("it being stopped", Duration::from_secs(1), || {
            Ok((state_of(committing.child.id())? == 'T').then_some(()))
        })?;
        scene.wait_until_it_beats(STALL)?;
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded()?;
        scene.expect_nothing_left()?;
    }
    Ok(())
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

/// The letter in `proc_pid_stat(5)`; the name before it may hold anything.
fn state_of(process: u32) -> Result<char> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned());
    Ok(after_name
        .and_then(|rest| rest.chars().next())
        .unwrap_or('?'))
}

/// Kills the child of `parent` whose command line has `word` in it.
fn kill_child(parent: u32, word: &str) -> Result {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"))?;
    let is_wanted = |child: &&str| {
        fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains(word))
    };
    let child = children.split_whitespace().find(is_wanted);
    let child = child.unwrap_or_else(|| panic!("{parent} has no child {word}"));
    let pid = nix::unistd::Pid::from_raw(child.parse()?);
    Ok(nix::sys::signal::kill(pid, nix::sys::signal::SIGKILL)?)
}
