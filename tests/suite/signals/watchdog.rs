//! The watchdog: what it sees to, and what happens where it is killed or stopped itself.
//!
//! A container is never left frozen: the commit thaws without its watchdog, the watchdog without
//! its commit, and where both are gone the next commit does, whatever comes of that one.

use super::{AT_ONCE, REFERENCE, STALL, Scene, expect_death_by};
use crate::FREEZEFRAME;
use harness::{Commit, Committing, Daemon, Leftovers, Outcome, Result, Signal};
use harness::{outcome, wait_until};
use rustix::process::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::Duration;

impl Scene<'_> {
    /// A commit that froze the container and died, as did its watchdog.
    fn freeze_and_die(&self) -> Result<Committing> {
        let committing = self.hold()?;
        committing.signal_watchdog(Signal::KILL)?;
        committing.signal(Signal::KILL)?;
        Ok(committing)
    }

    fn expect_frozen(&self) -> Result {
        // Whoever is to thaw would have done so.
        sleep(Duration::from_millis(300));
        let is_frozen = self.container.freezer()?.is_frozen();
        assert!(is_frozen, "somebody has thawed it already");
        Ok(())
    }

    fn expect_running(&self) -> Result {
        assert!(!self.container.freezer()?.is_frozen());
        self.wait_until_it_beats(AT_ONCE)
    }
}

#[test]
fn a_commit_whose_watchdog_is_killed_or_stopped_thaws_by_itself_and_ends() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    for signal in [Signal::KILL, Signal::STOP] {
        let committing = scene.hold()?;
        committing.signal_watchdog(signal)?;
        committing.signal(Signal::CONT)?;
        committing.finish()?.succeeded()?;
        scene.expect_running()?;
        scene.expect_nothing_left()?;
    }
    Ok(())
}

#[test]
fn a_commit_that_is_interrupted_after_its_watchdog_was_killed_or_stopped_thaws() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    for signal in [Signal::KILL, Signal::STOP] {
        let committing = scene.hold()?;
        committing.signal_watchdog(signal)?;
        committing.signal(Signal::INT)?;
        committing.signal(Signal::CONT)?;
        expect_death_by(Signal::INT, &committing.finish()?);
        scene.expect_running()?;
        scene.expect_no_trace(Signal::INT, "freeze")?;
    }
    scene.expect_that_a_commit_works()
}

/// What ends a commit with all of its group, as a closed terminal may, does not end the watchdog.
#[test]
fn a_watchdog_heeds_no_signal_and_is_of_no_group_but_its_own() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    // What we have blocked ourselves the watchdog inherits; of others it has to see to it.
    for signal in [Signal::TERM, Signal::TSTP, Signal::USR1, Signal::ALARM] {
        committing.signal_watchdog(signal)?;
    }
    committing.signal_group(Signal::KILL)?;
    expect_death_by(Signal::KILL, &committing.finish()?);
    scene.wait_until_it_beats(AT_ONCE)?;
    scene.expect_that_a_commit_works()
}

/// Else the pipe of whoever waits for its end would stay open as long as the watchdog does.
#[test]
fn a_watchdog_holds_nothing_open_that_the_commit_was_started_with() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let folder = daemon.new_folder("opener")?;
    let opener = folder.join("opener");
    let script = format!("#!/bin/sh\nexec 7</dev/null\nexec '{FREEZEFRAME}' nerdctl \"$@\"\n");
    fs::write(&opener, script)?;
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755))?;
    let freezeframe = daemon.freezeframe(&opener.to_string_lossy())?;
    let committing = freezeframe.hold_commit_in_freeze(&scene.container, REFERENCE)?;
    let own = descriptors(Pid::from_child(&committing.child))?;
    let watchdogs = committing.watchdog().map(descriptors).transpose()?;
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    assert!(own.contains(&7), "{own:?}");
    assert_eq!(watchdogs, Some(vec![0, 1, 2]));
    scene.expect_nothing_left()
}

fn descriptors(process: Pid) -> Result<Vec<u32>> {
    let folder = format!("/proc/{}/fd", process.as_raw_nonzero());
    let names = fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name()));
    let names: Vec<_> = names.collect::<Result<_>>()?;
    let mut numbers: Vec<u32> = names
        .iter()
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// There is nothing that would thaw the container then, so it is not frozen.
#[test]
fn a_watchdog_that_is_killed_before_the_freeze_is_said() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    for _ in 0..20 {
        let mut committing = scene.start()?;
        committing.wait_for_stage("freeze")?;
        while committing.watchdog().is_none() && committing.child.try_wait()?.is_none() {}
        // Where it has done its duty by now, the commit succeeds.
        let _ = committing.signal_watchdog(Signal::KILL);
        let Commit { outcome, report } = committing.finish()?;
        scene.expect_running()?;
        if outcome.status.success() {
            scene.expect_nothing_left()?;
            continue;
        }
        assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
        let said = outcome.error_text();
        assert!(said.contains("nothing was frozen, try again"), "{said}");
        assert_eq!(report["result"], "error");
        scene.expect_no_trace(Signal::INT, "freeze")?;
        return scene.expect_that_a_commit_works();
    }
    panic!("no watchdog was killed before the freeze");
}

/// From its start on, the watchdog sees to the mark as well.
#[test]
fn a_commit_that_is_killed_around_its_freeze_leaves_no_mark_and_no_watchdog() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    for round in 0..8 {
        let mut committing = scene.start()?;
        committing.wait_for_stage("freeze")?;
        while committing.watchdog().is_none() && committing.child.try_wait()?.is_none() {}
        // A little later each time.
        sleep(Duration::from_micros(500 * round));
        // It may have ended by now.
        let _ = committing.signal(Signal::KILL);
        committing.finish()?;
        wait_until("the end of mark and watchdog", STALL, || {
            let changes = scene.before.changes(&Leftovers::now(&scene.container)?);
            let mut kinds = changes.iter().map(|change| &change[2..]);
            Ok(
                (!kinds.any(|thing| OF_A_FREEZE.iter().any(|kind| thing.starts_with(kind))))
                    .then_some(()),
            )
        })?;
    }
    scene.expect_that_a_commit_works()
}

const OF_A_FREEZE: [&str; 3] = ["mark", "watchdog", "frozen"];

#[test]
fn two_signals_at_once_in_the_freeze_thaw_at_once_and_leave_no_trace() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    committing.signal(Signal::INT)?;
    // One after the other, as they would be taken for one.
    committing.signal(Signal::TERM)?;
    committing.signal(Signal::CONT)?;
    expect_death_by(Signal::INT, &committing.finish()?);
    scene.wait_until_it_beats(AT_ONCE)?;
    scene.expect_no_trace(Signal::INT, "freeze")?;
    scene.expect_that_a_commit_works()
}

/// The watchdog thaws what its commit froze, and then nothing that others pause.
#[test]
fn a_pause_by_others_after_the_watchdogs_thaw_holds() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    scene.wait_until_it_beats(STALL)?;
    scene.container.pause()?;
    // As long as it takes the watchdog to find the commit late again.
    sleep(Duration::from_secs(6));
    let frozen = scene.container.freezer()?.is_frozen();
    committing.signal(Signal::KILL)?;
    committing.finish()?;
    sleep(Duration::from_millis(300));
    let freezer = scene.container.freezer()?;
    assert!(frozen && freezer.is_frozen(), "thawed");
    // There is a mark of ours, but the pause is not.
    let commit = scene.freezeframe.commit(&scene.container, REFERENCE, &[])?;
    commit.succeeded()?;
    assert!(freezer.is_frozen(), "thawed by the next commit");
    scene.container.unpause()?;
    scene.expect_that_a_commit_works()
}

#[test]
fn the_next_commit_ends_the_stopped_watchdog_of_a_dead_commit_and_thaws() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.hold()?;
    committing.signal_watchdog(Signal::STOP)?;
    committing.signal(Signal::KILL)?;
    expect_death_by(Signal::KILL, &committing.finish()?);
    scene.expect_frozen()?;
    scene.expect_that_a_commit_works()
}

/// It has looked for what the dead left before there was any.
#[test]
fn a_commit_that_waits_for_one_that_dies_thaws_what_that_leaves() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let dying = scene.hold()?;
    let mut waiting = scene.start()?;
    waiting.wait_for_stage("lock")?;
    waiting.stop()?;
    dying.signal_watchdog(Signal::KILL)?;
    dying.signal(Signal::KILL)?;
    expect_death_by(Signal::KILL, &dying.finish()?);
    scene.expect_frozen()?;
    waiting.signal(Signal::CONT)?;
    waiting.finish()?.succeeded()?;
    scene.expect_running()?;
    scene.expect_nothing_left()
}

/// Its parent may be busy, or never wait for it.
#[test]
fn the_next_commit_thaws_though_nobody_has_waited_for_the_dead_one() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let committing = scene.freeze_and_die()?;
    scene.expect_frozen()?;
    scene.expect_that_a_commit_works()?;
    expect_death_by(Signal::KILL, &committing.finish()?);
    Ok(())
}

/// As in a pod that has the host's cgroups elsewhere.
#[test]
fn the_next_commit_thaws_what_it_knows_by_another_name() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    scene.freeze_and_die()?.finish()?;
    scene.expect_frozen()?;
    let elsewhere = daemon.new_folder("cgroups")?;
    let script = format!(
        "mount --rbind /sys/fs/cgroup {} && umount -l /sys/fs/cgroup && exec \"$@\"",
        elsewhere.display()
    );
    let view = ["unshare", "--mount", "sh", "-c", &script, "sh"];
    let mut command = scene.freezeframe.command_behind(&view);
    outcome(command.args(["commit", &scene.container.name, REFERENCE]))?.succeeded()?;
    scene.expect_running()?;
    scene.expect_nothing_left()
}

#[test]
fn the_next_commit_thaws_whatever_comes_of_it() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let next = |variable: &str, value: &str, flags: &[&str]| -> Result<Outcome> {
        scene.freeze_and_die()?.finish()?;
        scene.expect_frozen()?;
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(variable, value);
        let commit = freezeframe.commit(&scene.container, REFERENCE, flags)?;
        scene.expect_running()?;
        Ok(commit.outcome)
    };
    next("FREEZEFRAME_STRATEGY", "delegate", &[])?.succeeded()?;
    next("FREEZEFRAME_STRATEGY", "auto", &["--pause=false"])?.succeeded()?;
    let refused = next("FREEZEFRAME_RESERVE", "99%", &[])?.failed()?;
    let said = refused.error_text();
    assert!(said.contains("too little disk space"), "{said}");
    scene.expect_that_a_commit_works()
}

/// Thawed by hand, as the documents say, and removed.
#[test]
fn the_mark_of_a_container_that_is_gone_goes_with_the_next_commit_of_another() -> Result {
    let daemon = Daemon::start()?;
    let other = Scene::of(daemon.run(&["sleep", "1000"])?)?;
    let scene = Scene::that_freezes_long(&daemon)?;
    scene.freeze_and_die()?.finish()?;
    scene.expect_frozen()?;
    scene.container.freezer()?.set_frozen(false)?;
    scene.container.remove()?;
    // Whichever commit comes next may have removed it, of any daemon.
    other.expect_that_a_commit_works()
}

/// Without a mark nobody would know of the freeze if all else died.
#[test]
fn a_mark_that_cannot_be_written_is_said_and_nothing_is_frozen() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::with_bulk(&daemon)?;
    let words = ["unshare", "--mount", "sh", "-ec", MARKS_WITHOUT_ROOM, "sh"];
    let mut command = scene.freezeframe.command_behind(&words);
    command.args(["commit", &scene.container.name, REFERENCE]);
    let outcome = outcome(&mut command)?;
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    let said = outcome.error_text();
    assert!(
        said.contains("writing the mark") && said.contains("o space left"),
        "{said}"
    );
    assert!(
        outcome.text().is_empty(),
        "half a mark is left: {}",
        outcome.text()
    );
    scene.expect_running()?;
    scene.expect_no_trace(Signal::INT, "freeze")?;
    scene.expect_that_a_commit_works()
}

/// Prints the marks that are left. A directory of marks that others remove would take a mount along.
const MARKS_WITHOUT_ROOM: &str = "mount -t tmpfs -o size=4k none /run
echo full >/run/full
code=0; \"$@\" || code=$?
find /run -type f ! -name full
exit $code";

/// A container that is started again has the same cgroup; what was left of the last one is none of its own.
#[test]
fn a_container_that_was_restarted_after_both_died_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    scene.freeze_and_die()?.finish()?;
    scene.expect_frozen()?;
    scene.container.stop()?;
    scene.container.start()?;
    let freezeframe = &scene.freezeframe;
    freezeframe
        .commit(&scene.container, REFERENCE, &[])?
        .succeeded()?;
    assert_eq!(scene.container.status()?.as_deref(), Some("running"));
    assert!(!scene.container.freezer()?.is_frozen());
    scene.expect_nothing_left()
}
