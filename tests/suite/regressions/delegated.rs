//! A delegated commit of which somebody dies in the middle of the pause, the real nerdctl,
//! we or both: the container runs on.

use super::IMAGE;
use crate::scripted::Scripted;
use harness::{Daemon, Heartbeat, Result, Signal, wait_until};
use nix::sys::signal::{self, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

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

fn is_alive(process: Pid) -> bool {
    // One that has ended, and that nobody has waited for, is there yet.
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state
        .rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn runs_on_after(end: impl FnOnce(&harness::Committing, Pid) -> Result) -> Result<Pid> {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let heartbeat = container.heartbeat()?;
    let sleeper = Scripted::new(
        &daemon,
        &format!(
            "$nerdctl pause {} >$folder/log 2>&1; echo $$ >$folder/process; exec sleep 1000",
            container.name
        ),
    )?;
    let freezeframe = sleeper.before_us(&daemon)?;
    let freezeframe = freezeframe.with("FREEZEFRAME_STRATEGY", "delegate");
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let process = wait_until("the pause", Duration::from_secs(10), || {
        Ok(sleeper.lines("process").pop())
    })?;
    let real = Pid::from_raw(process.parse()?);
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    end(&committing, real)?;
    let outcome = committing.finish()?.outcome;
    assert!(!outcome.status.success(), "{}", outcome.describe());
    wait_until(
        "the container's resumption",
        Duration::from_secs(10),
        || Ok((container.status()?.as_deref() == Some("running")).then_some(())),
    )?;
    expect_beats(&heartbeat)?;
    Ok(real)
}

fn expect_beats(heartbeat: &Heartbeat) -> Result {
    let beats = heartbeat.beats()?;
    wait_until("the container running on", Duration::from_secs(2), || {
        Ok((heartbeat.beats()? > beats + 1).then_some(()))
    })
}
