//! A delegated commit of which somebody dies in the middle of the pause, the real nerdctl,
//! we or both: the container runs on.

use super::IMAGE;
use crate::FREEZEFRAME;
use crate::scripted::Scripted;
use harness::{Container, Daemon, Heartbeat, Result, Signal, wait_until};
use nix::sys::signal::{self, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn an_interrupt_to_us_leaves_the_container_running() -> Result {
    runs_on_after(|us, _| us.signal(Signal::INT)).map(drop)
}

#[test]
fn a_termination_of_us_leaves_the_container_running() -> Result {
    runs_on_after(|us, _| us.signal(Signal::TERM)).map(drop)
}

#[test]
fn a_kill_of_the_real_nerdctl_leaves_the_container_running() -> Result {
    runs_on_after(|_, real| Ok(kill(real, signal::SIGKILL)?)).map(drop)
}

#[test]
fn a_kill_of_us_ends_the_real_nerdctl_and_leaves_the_container_running() -> Result {
    let real = runs_on_after(|us, _| us.signal(Signal::KILL))?;
    wait_until("the real nerdctl's end", Duration::from_secs(10), || {
        Ok((!is_alive(real)).then_some(()))
    })
}

#[test]
fn a_kill_of_us_and_of_the_real_nerdctl_leaves_the_container_running() -> Result {
    runs_on_after(|us, real| {
        us.signal(Signal::STOP)?;
        kill(real, signal::SIGKILL)?;
        us.signal(Signal::KILL)
    })?;
    Ok(())
}

#[test]
fn a_quit_of_both_leaves_the_container_running() -> Result {
    // A Go program ends with 2 then, and undoes nothing. What we hand on must not end it otherwise.
    let script = "trap 'exit 2' QUIT; trap '' TERM; while :; do sleep 0.05; done";
    runs_on_after_script(script, |us, real| {
        us.signal(Signal::QUIT)?;
        Ok(kill(real, signal::SIGQUIT)?)
    })?;
    Ok(())
}

/// 143 is how a shell says that a signal has ended what it ran.
#[test]
fn a_pause_that_was_left_is_told_from_the_exit_code() -> Result {
    for code in [2, 143] {
        runs_on_after_script(&format!("sleep 0.5; exit {code}"), |_, _| Ok(()))?;
    }
    Ok(())
}

/// Its pause may come long after our end: the watchdog hears of both ends, by the pipe that each holds open.
#[test]
fn a_pause_that_comes_after_our_end_is_undone() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let script = format!(
        "trap '' TERM; echo begun >$folder/begun; sleep 3; $nerdctl pause {} >$folder/log 2>&1
         echo paused >$folder/paused; kill -9 $$",
        container.name
    );
    let real = Scripted::new(&daemon, &script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let said = |name: &'static str| {
        wait_until(name, PATIENCE, || {
            Ok((!real.lines(name).is_empty()).then_some(()))
        })
    };
    said("begun")?;
    committing.signal(Signal::KILL)?;
    committing.finish()?;
    said("paused")?;
    expect_running(&container)
}

/// Else its pause would pass for the container's own state, and ours for nobody's to undo.
#[test]
fn another_commit_is_waited_for_before_anybody_looks_whether_the_container_runs() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let script = format!(
        "until $nerdctl pause {} >$folder/log 2>&1; do sleep 0.1; done; kill -9 $$",
        container.name
    );
    let real = Scripted::new(&daemon, &script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let other = nerdctls_lock(&container)?;
    container.pause()?;
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("delegate")?;
    sleep(Duration::from_millis(500));
    container.unpause()?;
    drop(other);
    let outcome = committing.finish()?.outcome;
    assert_eq!(outcome.status.signal(), Some(9), "{}", outcome.describe());
    expect_running(&container)
}

#[test]
fn a_program_that_only_becomes_another_hears_our_signals() -> Result {
    // A shell that has waited for a child has cleared its mask; this one has not.
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let real = Scripted::new(&daemon, "exec sleep 1000")?;
    let freezeframe = real.delegated_to(&daemon)?;
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("delegate")?;
    let us = committing.child.id();
    let sleeper = wait_until("the sleeping program", Duration::from_secs(10), || {
        Ok(child_called(us, "sleep"))
    })?;
    assert_eq!(blocked_signals(sleeper)?, 0);
    committing.signal(Signal::TERM)?;
    let outcome = committing.finish()?.outcome;
    assert!(!outcome.status.success(), "{}", outcome.describe());
    Ok(())
}

#[test]
fn what_outlives_the_real_nerdctl_is_not_waited_for() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    // Its words name the folder: it goes with that, should this test fail.
    let script = "setsid sh -c 'while :; do sleep 1; done' $folder </dev/null >/dev/null 2>&1 &
        echo $! >$folder/process; echo digest";
    let real = Scripted::new(&daemon, script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let commit = freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    assert_eq!(commit.outcome.text(), "digest");
    let process = real.lines("process").pop().unwrap_or_default().parse()?;
    assert!(is_alive(Pid::from_raw(process)), "it outlives us");
    Ok(kill(Pid::from_raw(process), signal::SIGKILL)?)
}

/// It warns of that where containerd did not answer just then; its commit may have succeeded.
#[test]
fn a_pause_that_the_real_nerdctl_could_not_undo_is_undone() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    for code in [0, 1] {
        let script = format!(
            "$nerdctl pause {} >/dev/null
             echo 'level=warning msg=\"failed to unpause container x: unavailable\"' >&2
             exit {code}",
            container.name
        );
        let real = Scripted::new(&daemon, &script)?;
        let freezeframe = real.delegated_to(&daemon)?;
        let outcome = freezeframe.commit(&container, IMAGE, &[])?.outcome;
        assert_eq!(outcome.status.code(), Some(code), "{}", outcome.describe());
        assert!(outcome.error_text().contains("failed to unpause"));
        wait_until("the container running", Duration::from_secs(5), || {
            Ok((container.status()?.as_deref() == Some("running")).then_some(()))
        })?;
    }
    Ok(())
}

/// A call to a containerd that is away may fail only after ten seconds, and there is one of the real nerdctl's and one of the
/// watchdog's.
#[test]
fn a_pause_is_undone_once_containerd_is_back() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezer = container.freezer()?;
    let script = format!(
        "$nerdctl pause {} >/dev/null; echo $$ >$folder/process; exec sleep 1000",
        container.name
    );
    let real = Scripted::new(&daemon, &script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let process = wait_until("the pause", Duration::from_secs(10), || {
        Ok(real.lines("process").pop())
    })?;
    daemon.end(Signal::KILL)?;
    kill(Pid::from_raw(process.parse()?), signal::SIGKILL)?;
    let said = committing.finish()?.outcome.error_text();
    assert!(said.contains("containerd does not answer"), "{said}");
    sleep(Duration::from_secs(15));
    assert!(freezer.is_frozen(), "there was nobody to resume it");
    daemon.start_again()?;
    wait_until("the container running", Duration::from_secs(30), || {
        Ok((!freezer.is_frozen()).then_some(()))
    })
}

#[test]
fn a_pause_of_somebody_else_is_not_undone() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let script = "echo $$ >$folder/process; exec sleep 1000";
    // Without a pause of its own there is none of it to undo.
    let real = Scripted::new(&daemon, script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &["--pause=false"])?;
    let process = wait_until("the commit", Duration::from_secs(10), || {
        Ok(real.lines("process").pop())
    })?;
    container.pause()?;
    kill(Pid::from_raw(process.parse()?), signal::SIGKILL)?;
    committing.finish()?;
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    Ok(())
}

/// Held until it is dropped, as a commit of stock's holds it.
fn nerdctls_lock(container: &Container) -> Result<fs::File> {
    let state = container.info()?["Labels"]["nerdctl/state-dir"].clone();
    let path = format!("{}/oplock", state.as_str().expect("a state directory"));
    fs::create_dir_all(&path)?;
    let lock = fs::File::open(&path)?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive)?;
    Ok(lock)
}

/// The real nerdctl is killed while the container is paused and another commit of stock's holds its lock.
fn beside_another_commit(then: impl FnOnce(&Container, fs::File) -> Result) -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let script = "echo $$ >$folder/process; exec sleep 1000";
    let real = Scripted::new(&daemon, script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let process = wait_until("the commit", Duration::from_secs(10), || {
        Ok(real.lines("process").pop())
    })?;
    // As a commit of stock's holds the lock and the pause, while ours waits for it.
    let other = nerdctls_lock(&container)?;
    container.pause()?;
    kill(Pid::from_raw(process.parse()?), signal::SIGKILL)?;
    committing.finish()?;
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    then(&container, other)
}

#[test]
fn a_pause_of_another_commit_is_not_undone() -> Result {
    beside_another_commit(|_, _| Ok(()))
}

#[test]
fn a_pause_that_another_commit_found_is_undone_after_it() -> Result {
    beside_another_commit(|container, other| {
        drop(other);
        wait_until("the container running", Duration::from_secs(10), || {
            Ok((container.status()?.as_deref() == Some("running")).then_some(()))
        })
    })
}

#[test]
fn a_pause_that_comes_while_another_commit_is_at_work_is_not_undone() -> Result {
    beside_another_commit(|container, other| {
        container.unpause()?;
        sleep(Duration::from_millis(500));
        container.pause()?;
        drop(other);
        sleep(Duration::from_secs(2));
        assert_eq!(container.status()?.as_deref(), Some("paused"));
        Ok(())
    })
}

#[test]
fn the_end_of_the_real_nerdctl_is_ours() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let real = Scripted::new(&daemon, "kill -KILL $$")?;
    let freezeframe = real.delegated_to(&daemon)?;
    let commit = freezeframe.commit(&container, IMAGE, &[])?;
    let signal = commit.outcome.status.signal();
    assert_eq!(signal, Some(9), "{}", commit.outcome.describe());
    assert_eq!(commit.report["result"], "error");
    Ok(())
}

#[test]
fn a_digest_that_cannot_be_printed_is_an_error() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    for strategy in ["direct", "delegate"] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        let freezeframe = freezeframe.with("FREEZEFRAME_STRATEGY", strategy);
        let mut command = freezeframe.command();
        command.args(["commit", &container.name, IMAGE]);
        command.stdout(fs::File::options().write(true).open("/dev/full")?);
        command.stderr(Stdio::piped());
        let output = command.spawn()?.wait_with_output()?;
        assert_eq!(output.status.code(), Some(1), "{strategy}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("write /dev/stdout: no space left on device"),
            "{said}"
        );
    }
    Ok(())
}

/// In a freeze after a delegated try, Ctrl-Z must not stop any of our threads.
#[test]
fn stop_signals_are_blocked_in_a_direct_commit_that_falls_back() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("head -c 100000000 /dev/urandom >/srv/bulk")?;
    let loser = Scripted::new(&daemon, "echo 'archive/tar: write too long' >&2; exit 1")?;
    let freezeframe = loser.before_us(&daemon)?;
    let freezeframe = freezeframe.with("FREEZEFRAME_STRATEGY", "fallback");
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("freeze")?;
    let us = committing.child.id();
    let stop = 1 << (signal::SIGTSTP as u64 - 1);
    for thread in fs::read_dir(format!("/proc/{us}/task"))? {
        let thread = thread?.file_name().to_string_lossy().parse()?;
        // One that has just ended cannot be stopped either; the main thread has its own time for it.
        let blocked = blocked_signals(thread).unwrap_or(stop);
        assert!(thread == us || blocked & stop != 0, "{thread}");
    }
    committing.finish()?.succeeded()?;
    Ok(())
}

fn child_called(parent: u32, name: &str) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    let mut children = children.split_whitespace().map(str::to_owned);
    let child = children.find(|child| {
        let comm = fs::read_to_string(format!("/proc/{child}/comm")).unwrap_or_default();
        comm.trim() == name
    })?;
    child.parse().ok()
}

/// `SigBlk` of `proc_pid_status(5)`.
fn blocked_signals(thread: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{thread}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    Ok(u64::from_str_radix(line.unwrap_or_default().trim(), 16)?)
}

fn is_alive(process: Pid) -> bool {
    // One that has ended, and that nobody has waited for, is there yet.
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state
        .rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn runs_on_after(end: impl FnOnce(&harness::Committing, Pid) -> Result) -> Result<Pid> {
    runs_on_after_script("exec sleep 1000", end)
}

/// The container runs on after `end`, in the midst of a real nerdctl that has paused it and goes on with `script`.
fn runs_on_after_script(
    script: &str,
    end: impl FnOnce(&harness::Committing, Pid) -> Result,
) -> Result<Pid> {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let heartbeat = container.heartbeat()?;
    let sleeper = Scripted::new(
        &daemon,
        &format!(
            "$nerdctl pause {} >$folder/log 2>&1; echo $$ >$folder/process; {script}",
            container.name
        ),
    )?;
    let freezeframe = sleeper.delegated_to(&daemon)?;
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let process = wait_until("the pause", Duration::from_secs(10), || {
        Ok(sleeper.lines("process").pop())
    })?;
    let real = Pid::from_raw(process.parse()?);
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    end(&committing, real)?;
    let outcome = committing.finish()?.outcome;
    assert!(!outcome.status.success(), "{}", outcome.describe());
    expect_running(&container)?;
    expect_beats(&heartbeat)?;
    Ok(real)
}

fn expect_running(container: &Container) -> Result {
    wait_until("the container running", PATIENCE, || {
        Ok((container.status()?.as_deref() == Some("running")).then_some(()))
    })
}

fn expect_beats(heartbeat: &Heartbeat) -> Result {
    let beats = heartbeat.beats()?;
    wait_until("the container running on", Duration::from_secs(2), || {
        Ok((heartbeat.beats()? > beats + 1).then_some(()))
    })
}
