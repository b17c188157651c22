//! Where no cgroup freezer can be reached, the daemon's own pause stands in for it, as consistent and as surely undone.
//!
//! freezeframe runs in a mount namespace of its own, from which every cgroup hierarchy is unmounted, or where none can be
//! written to.

use crate::FREEZEFRAME;
use harness::{
    BASE, Container, Daemon, Leftovers, Result, Signal, View, check_law, outcome, wait_until,
    watchdog_of,
};
use rustix::process::{Pid, kill_process};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const IMAGE: &str = "docker.io/library/paused:latest";
const HIDE_CGROUPS: &str =
    "awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/mounts | sort -r | xargs -r umount -l && exec \"$@\"";

const READ_ONLY_CGROUPS: &str = "awk '$3 ~ /^cgroup2?$/ {print $2}' /proc/mounts | \
     xargs -r -n 1 mount -o remount,bind,ro && exec \"$@\"";

/// `nerdctl commit` as freezeframe, without a freezer.
fn commit_of(container: &Container) -> Result<Command> {
    commit_after(container, HIDE_CGROUPS)
}

fn commit_after(container: &Container, script: &str) -> Result<Command> {
    let daemon = container.daemon();
    let alias = daemon.freezeframe(FREEZEFRAME)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(alias.alias()).arg("commit");
    command.args([&container.name, IMAGE]);
    daemon.lead(&mut command);
    command.env("FREEZEFRAME_NERDCTL", daemon.nerdctl()?.program);
    Ok(command)
}

fn wait_for_the_pause(container: &Container) -> Result {
    let freezer = container.freezer()?;
    wait_until("the pause", Duration::from_secs(15), || {
        Ok(freezer.is_frozen().then_some(()))
    })
}

/// What containerd publishes, from now on.
fn events(daemon: &Daemon) -> Result<Child> {
    let mut command = daemon.ctr().command();
    Ok(command.arg("events").stdout(Stdio::piped()).spawn()?)
}

fn count_of(mut events: Child, topic: &str) -> Result<usize> {
    // The last events are on their way yet.
    std::thread::sleep(Duration::from_millis(300));
    events.kill()?;
    let output = events.wait_with_output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.matches(topic).count())
}

#[test]
fn the_law_holds_under_the_daemons_pause() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    for script in [HIDE_CGROUPS, READ_ONLY_CGROUPS] {
        let events = events(&daemon)?;
        std::thread::sleep(Duration::from_millis(200));
        outcome(&mut commit_after(&container, script)?)?.succeeded()?;
        assert_eq!(count_of(events, "/tasks/paused")?, 1, "{script}");
        assert_eq!(container.status()?.as_deref(), Some("running"));
        check_law(&daemon, &View::snapshot(&daemon, IMAGE)?.path().join("law"))?;
    }
    Ok(())
}

#[test]
fn a_commit_that_is_killed_under_the_daemons_pause_leaves_the_container_running() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, BASE, &["probe", "big", "/big", "300"])?;
    container.wait_for("/big")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let heartbeat = container.heartbeat()?;
    let mut child = commit_of(&container)?.process_group(0).spawn()?;
    wait_for_the_pause(&container)?;
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::KILL)?;
    child.wait()?;
    let beats = heartbeat.beats()?;
    wait_until("the container running on", Duration::from_secs(2), || {
        Ok((heartbeat.beats()? > beats + 1).then_some(()))
    })?;
    outcome(&mut commit_of(&container)?)?.succeeded()?;
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}

#[test]
fn the_next_commit_resumes_what_a_dead_one_paused_wherever_it_runs_itself() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, BASE, &["probe", "big", "/big", "300"])?;
    container.wait_for("/big")?;
    let mut child = commit_of(&container)?.process_group(0).spawn()?;
    wait_for_the_pause(&container)?;
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP)?;
    let watchdog = watchdog_of(&child).expect("a watchdog");
    kill_process(watchdog, Signal::KILL)?;
    kill_process(pid, Signal::KILL)?;
    child.wait()?;
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    assert_eq!(container.status()?.as_deref(), Some("running"));
    Ok(())
}

#[test]
fn a_container_that_somebody_resumes_under_the_daemons_pause_is_taken_again() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    container.spawn(&["probe", "big", "/big", "128"])?;
    container.wait_for("/big")?;
    let events = events(&daemon)?;
    let mut command = commit_of(&container)?;
    let mut child = command.process_group(0).stdout(Stdio::null()).spawn()?;
    wait_for_the_pause(&container)?;
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP)?;
    let resumed = container.unpause();
    kill_process(pid, Signal::CONT)?;
    let status = child.wait()?;
    resumed?;
    assert!(status.success(), "{status}");
    assert!(count_of(events, "/tasks/paused")? > 1, "it was paused once");
    assert_eq!(container.status()?.as_deref(), Some("running"));
    check_law(&daemon, &View::snapshot(&daemon, IMAGE)?.path().join("law"))
}
