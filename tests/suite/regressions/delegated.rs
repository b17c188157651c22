//! A delegated commit whose real nerdctl dies in the middle of its pause: the container
//! runs on.

use super::IMAGE;
use crate::FREEZEFRAME;
use harness::{Container, Daemon, Heartbeat, Result, Signal, wait_until};
use nix::sys::signal::{self, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

#[test]
fn an_interrupt_to_us_leaves_the_container_running() -> Result {
    runs_on_after(|us, _| us.signal(Signal::INT))
}

#[test]
fn a_termination_of_us_leaves_the_container_running() -> Result {
    runs_on_after(|us, _| us.signal(Signal::TERM))
}

#[test]
fn a_kill_of_the_real_nerdctl_leaves_the_container_running() -> Result {
    runs_on_after(|_, real| Ok(kill(real, signal::SIGKILL)?))
}

fn runs_on_after(end: impl FnOnce(&harness::Committing, Pid) -> Result) -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let heartbeat = container.heartbeat()?;
    let sleeper = Sleeper::new(&container)?;
    let freezeframe = daemon
        .freezeframe(FREEZEFRAME)?
        .with("FREEZEFRAME_STRATEGY", "delegate")
        .with("FREEZEFRAME_NERDCTL", &sleeper.program);
    let committing = freezeframe.start_commit(&container, IMAGE, &[])?;
    let real = sleeper.wait_until_it_sleeps()?;
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    end(&committing, real)?;
    let outcome = committing.finish()?.outcome;
    assert!(!outcome.status.success(), "{}", outcome.describe());
    assert_eq!(container.status()?.as_deref(), Some("running"));
    expect_beats(&heartbeat)
}

fn expect_beats(heartbeat: &Heartbeat) -> Result {
    let beats = heartbeat.beats()?;
    wait_until("the container running on", Duration::from_secs(2), || {
        Ok((heartbeat.beats()? > beats + 1).then_some(()))
    })
}

/// A nerdctl whose commit pauses the container and then takes for ever.
struct Sleeper {
    program: PathBuf,
    process: PathBuf,
}

impl Sleeper {
    fn new(container: &Container) -> Result<Self> {
        let folder = container.daemon().new_folder("sleeper")?;
        let (program, process) = (folder.join("nerdctl"), folder.join("process"));
        let real = container.daemon().nerdctl()?.program;
        let script = format!(
            "#!/bin/sh\ncase \" $* \" in *' inspect '*) exec {real} \"$@\";; esac\n\
             {real} pause {name} >{process}.log 2>&1\necho $$ >{process}.new\n\
             mv {process}.new {process}\nexec sleep 1000\n",
            real = real.display(),
            name = container.name,
            process = process.display(),
        );
        fs::write(&program, script)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(Self { program, process })
    }

    fn wait_until_it_sleeps(&self) -> Result<Pid> {
        let number = wait_until("the pause", Duration::from_secs(10), || {
            Ok(fs::read_to_string(&self.process).ok())
        })?;
        Ok(Pid::from_raw(number.trim().parse()?))
    }
}
