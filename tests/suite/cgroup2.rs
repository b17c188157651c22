//! Freezing in a unified cgroup hierarchy, on machines that have another one too.
//!
//! containerd and freezeframe run in a mount namespace where cgroup2 alone is mounted.
//! Where that cannot be, the tests say so and check nothing.

use crate::FREEZEFRAME;
use crate::signals::AT_ONCE;
use harness::{
    Committing, Container, Daemon, Freezeframe, Heartbeat, Leftovers, Options, Result, Signal,
    skipped, wait_until,
};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::Duration;

const REFERENCE: &str = "docker.io/library/unified:latest";

/// So long that the wait for a busy machine to freeze, which is reported as well, is little beside it.
const HELD: Duration = Duration::from_secs(1);

#[test]
fn a_busy_container_is_frozen_by_cgroup_freeze_for_a_moment() -> Result {
    let Some(daemon) = unified_daemon()? else {
        return Ok(());
    };
    let scene = Scene::of(&daemon)?;
    let (frozen, longest) = scene.heartbeat.during(|| {
        let committing = scene
            .freezeframe
            .hold_commit_in_freeze(&scene.container, REFERENCE)?;
        expect_freeze_by_cgroup2(committing.child.id())?;
        sleep(HELD);
        committing.signal(Signal::CONT)?;
        Ok(committing.finish()?.succeeded()?.frozen_ms())
    })?;
    // What the report says is what the container felt; some of it had not begun to freeze yet.
    let felt = longest.as_secs_f64() * 1e3;
    let held = HELD.as_secs_f64() * 1e3;
    assert!(frozen >= held && felt > frozen / 2.0, "{frozen} {felt}");
    scene.expect_nothing_left()
}

#[test]
fn a_signal_during_the_freeze_leaves_it_running() -> Result {
    let Some(daemon) = unified_daemon()? else {
        return Ok(());
    };
    let scene = Scene::of(&daemon)?;
    for signal in [Signal::TERM, Signal::KILL] {
        let committing = scene.start_and_wait_until_frozen()?;
        committing.signal(signal)?;
        let died_of = committing.finish()?.outcome.status.signal();
        assert_eq!(died_of, Some(signal.as_raw()));
        scene.wait_until_it_beats()?;
    }
    let freezeframe = &scene.freezeframe;
    freezeframe
        .commit(&scene.container, REFERENCE, &[])?
        .succeeded()?;
    scene.wait_until_it_beats()?;
    scene.expect_nothing_left()
}

struct Scene<'d> {
    container: Container<'d>,
    heartbeat: Heartbeat,
    freezeframe: Freezeframe<'d>,
    before: Leftovers,
}

impl<'d> Scene<'d> {
    fn of(daemon: &'d Daemon) -> Result<Self> {
        let container = daemon.run(&["probe", "big", "/big", "64"])?;
        container.wait_for("/big")?;
        let freezer = container.freezer()?;
        assert!(freezer.folder().join("cgroup.freeze").exists());
        assert!(!freezer.folder().join("freezer.state").exists());
        daemon.ctr().collect_garbage()?;
        Ok(Self {
            heartbeat: container.heartbeat()?,
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    fn start_and_wait_until_frozen(&self) -> Result<Committing> {
        let committing = self
            .freezeframe
            .start_commit_until_frozen(&self.container, REFERENCE)?;
        expect_freeze_by_cgroup2(committing.child.id())?;
        Ok(committing)
    }

    fn wait_until_it_beats(&self) -> Result {
        let beats = self.heartbeat.beats()?;
        wait_until("the container running on", AT_ONCE, || {
            Ok((self.heartbeat.beats()? > beats + 1).then_some(()))
        })
    }

    fn expect_nothing_left(&self) -> Result {
        let ctr = self.container.daemon().ctr();
        ctr.run(&["images", "rm", "--sync", REFERENCE])?;
        self.before
            .assert_unchanged(&Leftovers::now(&self.container)?);
        Ok(())
    }
}

/// Tasks.Pause would end in the same file: the watchdog's words tell which one it was.
fn expect_freeze_by_cgroup2(commit: u32) -> Result {
    let children = fs::read_to_string(format!("/proc/{commit}/task/{commit}/children"))?;
    let lines = children
        .split_whitespace()
        .map(|child| fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default());
    let lines: Vec<String> = lines.collect();
    let guards = |line: &String| line.contains("\0watchdog\0") && line.contains("\0cgroup2\0");
    assert!(lines.iter().any(guards), "{lines:?}");
    Ok(())
}

/// None, loudly, where the machine cannot do it: its caretaker needs to see the cgroups.
pub fn unified_daemon() -> Result<Option<Daemon>> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    if !mounts.contains(" - cgroup2 ") {
        skipped("no cgroup2 is mounted on this machine");
        return Ok(None);
    }
    let options = Options {
        unified_cgroups: true,
        ..Options::default()
    };
    options.start().map(Some)
}
