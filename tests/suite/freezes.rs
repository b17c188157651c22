//! Freezes that go wrong: one that does not complete, because a process is stuck in the kernel,
//! and one that somebody else ends.

mod stopped;

use crate::FREEZEFRAME;
use crate::cgroup2::unified_daemon;
use harness::{
    BASE, Commit, Committing, Container, Daemon, Freezer, Leftovers, Result, Signal, View,
    check_law, outcome, skipped, wait_until,
};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const IMAGE: &str = "docker.io/library/stuck:latest";
const BOUND: Duration = Duration::from_secs(30);
/// Where cgroup version 1 has the throttle of disks.
const THROTTLES: &str = "/sys/fs/cgroup/blkio";
const WRITE_THROTTLE: &str = "blkio.throttle.write_bps_device";
/// In bytes.
const DISK_SIZE: u64 = 64 << 20;

/// A disk of the container's own, mounted where containerd sees it; it goes with the daemon.
fn mount_disk(daemon: &Daemon) -> Result<PathBuf> {
    let (image, target) = (
        daemon.run_folder().join("slow.img"),
        daemon.new_folder("slow")?,
    );
    File::create(&image)?.set_len(DISK_SIZE)?;
    outcome(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?.succeeded()?;
    let mut mount = daemon.command_beside(Path::new("mount"));
    outcome(mount.args(["-o", "loop"]).arg(&image).arg(&target))?.succeeded()?;
    Ok(target)
}

/// A disk that is frozen (fsfreeze(8)) until this ends, however it ends.
struct Suspended(Child);

impl Suspended {
    fn new(daemon: &Daemon, disk: &Path) -> Result<Self> {
        let script =
            "fsfreeze --freeze \"$1\"; echo; read -r _ || true; fsfreeze --unfreeze \"$1\"";
        let mut command = daemon.command_beside(Path::new("sh"));
        command.args(["-ec", script, "sh"]).arg(disk);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut suspended = Self(child?);
        let output = suspended.0.stdout.as_mut().expect("a pipe");
        output.read_exact(&mut [0])?;
        Ok(suspended)
    }
}

impl Drop for Suspended {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // Should it fail, what waits for the disk goes on waiting, and the test says so.
        let _ = self.0.wait();
    }
}

/// On version 2: who waits for a frozen disk is not frozen itself.
#[test]
fn a_freeze_that_does_not_complete_on_version_2_is_undone_and_told_of() -> Result {
    let Some(daemon) = unified_daemon()? else {
        return Ok(());
    };
    let disk = mount_disk(&daemon)?;
    let container = beside(&daemon, &disk)?;
    let suspended = Suspended::new(&daemon, &disk)?;
    let words = ["dd", "if=/dev/zero", "of=/slow/file", "bs=4k", "count=1"];
    container.spawn(&words)?;
    expect_undone(&container, || {
        drop(suspended);
        Ok(())
    })
}

/// On version 1, whose freezer takes who waits for a frozen disk, but not who waits for a slow one.
#[test]
fn a_freeze_that_does_not_complete_on_version_1_is_undone_and_told_of() -> Result {
    if !has_throttles() {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let (container, disk) = writing_slowly(&daemon)?;
    expect_undone(&container, || throttle(&container, &disk, 0))
}

#[test]
fn a_freeze_does_not_complete_any_later_than_it_may_last() -> Result {
    if !has_throttles() {
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let (container, disk) = writing_slowly(&daemon)?;
    wait_until_stuck(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let flags = ["--max-pause", "500ms"];
    let commit = freezeframe.commit(&container, IMAGE, &flags)?.failed()?;
    assert!(has_stuck_process(&container)?, "it was not stuck all along");
    let said = commit.outcome.error_text();
    assert!(said.contains("did not freeze within 500ms"), "{said}");
    throttle(&container, &disk, 0)
}

#[test]
fn a_freeze_that_does_not_complete_is_tried_again() -> Result {
    let tried = commit_beside_stuck(|_, freezer| {
        for (what, wanted) in [("a freeze under way", false), ("its end", true)] {
            wait_until(what, BOUND, || {
                Ok((state_of(freezer)?.starts_with("THAWED") == wanted).then_some(()))
            })?;
        }
        Ok(())
    })?;
    if let Some(((), commit)) = tried {
        // What had frozen of it in the first try counts.
        assert!(commit.frozen_ms() > 500.0, "{}", commit.frozen_ms());
    }
    Ok(())
}

/// A commit on version 1 that meets a stuck process, which goes on after `meanwhile`, and then succeeds. `None` where no
/// process can be made so.
fn commit_beside_stuck<T>(
    meanwhile: impl FnOnce(&Committing, &Freezer) -> Result<T>,
) -> Result<Option<(T, Commit)>> {
    if !has_throttles() {
        return Ok(None);
    }
    let daemon = Daemon::start()?;
    let (container, disk) = writing_slowly(&daemon)?;
    wait_until_stuck(&container)?;
    let freezer = container.freezer()?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let seen = meanwhile(&committing, &freezer)?;
    throttle(&container, &disk, 0)?;
    let commit = committing.finish()?.succeeded()?;
    assert_eq!(
        View::snapshot(&daemon, IMAGE)?.read("/srv/plain")?,
        "changed\n"
    );
    Ok(Some((seen, commit)))
}

/// On version 1: THAWED, FREEZING or FROZEN.
fn state_of(freezer: &Freezer) -> Result<String> {
    Ok(fs::read_to_string(freezer.folder().join("freezer.state"))?)
}

fn has_throttles() -> bool {
    let has = Path::new(THROTTLES).join(WRITE_THROTTLE).exists();
    if !has {
        skipped("no cgroup version 1 with a throttle of disks");
    }
    has
}

/// With its disk, and a process that, were nobody to lift the throttle, would be stuck for half a minute.
fn writing_slowly(daemon: &Daemon) -> Result<(Container<'_>, PathBuf)> {
    let disk = mount_disk(daemon)?;
    let container = beside(daemon, &disk)?;
    throttle(&container, &disk, 4096)?;
    let script = "dd if=/dev/zero of=/slow/file bs=128k count=1 conv=fsync";
    container.spawn(&["sh", "-c", script])?;
    Ok((container, disk))
}

fn beside<'d>(daemon: &'d Daemon, disk: &Path) -> Result<Container<'d>> {
    let volume = format!("{}:/slow", disk.display());
    let container = Container::run_with(daemon, BASE, &["--volume", &volume], &["sleep", "1000"])?;
    container.shell("echo changed >/srv/plain")?;
    Ok(container)
}

/// So many bytes a second are written to the disk by what runs in the container; 0 for all that it can.
fn throttle(container: &Container, disk: &Path, bytes: u64) -> Result {
    let table = fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
    let path = table
        .lines()
        .find_map(|line| Some(line.split_once(":blkio:")?.1));
    let folder = PathBuf::from(format!("{THROTTLES}{}", path.expect("a cgroup of its own")));
    let rule = format!("{} {bytes}", device_of(disk)?);
    Ok(fs::write(folder.join(WRITE_THROTTLE), rule)?)
}

/// `MAJOR:MINOR` in `proc_pid_mountinfo(5)`.
fn device_of(mounted: &Path) -> Result<String> {
    let (mounts, mounted) = (
        fs::read_to_string("/proc/self/mountinfo")?,
        mounted.display().to_string(),
    );
    let mut lines = mounts.lines().map(|line| line.split(' '));
    let device = lines.find_map(|mut fields| {
        let device = fields.nth(2)?;
        (fields.nth(1)? == mounted).then(|| device.to_owned())
    });
    Ok(device.expect("it is mounted"))
}

/// With a process in the container that is, or soon will be, stuck until `release`.
fn expect_undone(container: &Container, release: impl FnOnce() -> Result) -> Result {
    let daemon = container.daemon();
    wait_until_stuck(container)?;
    let (heartbeat, freezer) = (container.heartbeat()?, container.freezer()?);
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &[])?.failed()?;
    assert!(has_stuck_process(container)?, "it was not stuck all along");
    let said = commit.outcome.error_text();
    assert_eq!(commit.outcome.status.code(), Some(1), "{said}");
    let wanted =
        "did not freeze within 1s: one is stuck in the kernel; try again, or use --pause=false";
    assert!(said.contains(wanted) && said.lines().count() == 1, "{said}");
    assert_eq!(commit.report["result"], "error");
    // Three tries, in each of which some of it may have been frozen.
    assert!(commit.frozen_ms() > 2_000.0, "{:#}", commit.report);
    let beats = heartbeat.beats()?;
    wait_until("the container running on", BOUND, || {
        Ok((heartbeat.beats()? > beats + 1).then_some(()))
    })?;
    assert!(!freezer.is_frozen());
    daemon.ctr().collect_garbage()?;
    before.assert_unchanged(&Leftovers::now(container)?);
    // What the message says helps.
    freezeframe
        .commit(container, IMAGE, &["--pause=false"])?
        .succeeded()?;
    release()?;
    wait_until("the process's end", BOUND, || {
        Ok((!has_stuck_process(container)?).then_some(()))
    })?;
    freezeframe.commit(container, IMAGE, &[])?.succeeded()?;
    assert_eq!(
        View::snapshot(daemon, IMAGE)?.read("/srv/plain")?,
        "changed\n"
    );
    Ok(())
}

fn wait_until_stuck(container: &Container) -> Result {
    wait_until("a process that is stuck", BOUND, || {
        Ok(has_stuck_process(container)?.then_some(()))
    })
}

/// `proc_pid_stat(5)`: D is for those that nothing wakes but what they wait for.
fn has_stuck_process(container: &Container) -> Result<bool> {
    let members = fs::read_to_string(container.freezer()?.folder().join("cgroup.procs"))?;
    Ok(members.lines().any(|process| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        stat.starts_with(&format!("{process} (dd) D"))
    }))
}

/// What was read by then is thrown away, before the watchdog has to thaw.
#[test]
fn a_freeze_that_lasts_longer_than_it_may_is_ended_and_tried_again() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.spawn(&["probe", "big", "/big", CHANGING])?;
    container.wait_for("/big")?;
    let freezer = container.freezer()?;
    let freezeframe = daemon
        .freezeframe(FREEZEFRAME)?
        .with("FREEZEFRAME_MAX_PAUSE", "900ms");
    for _ in 0..MOST_COMMITS {
        let mut committing = freezeframe.start_commit_until_frozen(&container, IMAGE)?;
        std::thread::sleep(INTO_THE_FREEZE);
        committing.signal(Signal::STOP)?;
        std::thread::sleep(Duration::from_secs(1));
        let was_frozen = freezer.is_frozen();
        committing.signal(Signal::CONT)?;
        wait_until("the thaw", BOUND, || {
            Ok((!freezer.is_frozen()).then_some(()))
        })?;
        let freezes_again = committing.wait_until_frozen(&freezer)?;
        committing.finish()?.succeeded()?;
        if was_frozen && freezes_again {
            return Ok(());
        }
    }
    panic!(
        "none of {MOST_COMMITS} commits that were stopped within their freezes was seen to freeze again"
    )
}

/// For the freeze to last long enough to be met, in MiB.
const CHANGING: &str = "96";
const INTO_THE_FREEZE: Duration = Duration::from_millis(5);
const MOST_COMMITS: u32 = 10;

/// What was read of the container before and after a thaw is thrown away, and read again.
#[test]
fn a_thaw_by_somebody_else_in_the_midst_of_the_freeze_is_noticed() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    container.spawn(&["probe", "big", "/big", CHANGING])?;
    container.wait_for("/big")?;
    let (heartbeat, freezer) = (container.heartbeat()?, container.freezer()?);
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for _ in 0..MOST_COMMITS {
        let mut committing = freezeframe.start_commit_until_frozen(&container, IMAGE)?;
        // So that it is not stopped before it has seen itself that the container is frozen.
        std::thread::sleep(INTO_THE_FREEZE);
        committing.signal(Signal::STOP)?;
        // Stopped too late, it has thawed the container itself.
        let was_frozen = freezer.is_frozen();
        freezer.set_frozen(false)?;
        let beats = heartbeat.beats()?;
        wait_until("the container running", BOUND, || {
            Ok((heartbeat.beats()? > beats + 5).then_some(()))
        })?;
        committing.signal(Signal::CONT)?;
        let freezes_again = committing.wait_until_frozen(&freezer)?;
        committing.finish()?.succeeded()?;
        check_law(&daemon, &View::snapshot(&daemon, IMAGE)?.path().join("law"))?;
        if was_frozen && freezes_again {
            return Ok(());
        }
    }
    panic!(
        "none of {MOST_COMMITS} commits that were stopped within their freezes was seen to freeze again"
    )
}
