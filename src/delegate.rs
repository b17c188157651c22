//! Delegation: what the direct way does not take goes to the real nerdctl, after a `syncfs` that spares the container
//! most of the global sync that the real one does inside the pause. A container that ran before runs afterwards, however
//! the real one ended.

use std::ffi::OsString;
use std::fs::File;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::containerd::{Containerd, TaskStatus};
use crate::passthrough::RealNerdctl;
use crate::plan::Subject;
use crate::system::signals;
use crate::system::sync::FilesystemSync;

const POLL_PAUSE: Duration = Duration::from_millis(5);

/// Runs the real `nerdctl` with `words`, on our own standard descriptors.
pub fn run(
    containerd: &Containerd,
    real: &RealNerdctl,
    subject: &Subject,
    words: &[OsString],
) -> Result<ExitStatus> {
    sync_root(subject)?;
    let mut child = Command::new(real.path())
        .args(words)
        .envs(real.guard())
        .spawn()
        .with_context(|| format!("running {}", real.path().display()))?;
    let status = wait(&mut child)?;
    if !status.success() {
        resume(containerd, subject)?;
    }
    Ok(status)
}

/// Waits for the real nerdctl, and hands a signal on to it.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let mut forwarded = false;
    loop {
        if let Some(status) = child.try_wait().context("waiting for the real nerdctl")? {
            return Ok(status);
        }
        if signals::check().is_err() && !forwarded {
            // It may have got the signal from the terminal as well: once more does no harm.
            let _ = kill(pid, Signal::SIGTERM);
            forwarded = true;
        }
        std::thread::sleep(POLL_PAUSE);
    }
}

/// A real nerdctl that is killed leaves the container paused.
fn resume(containerd: &Containerd, subject: &Subject) -> Result<()> {
    let containerd = containerd.for_cleaning_up();
    let ran = subject.task.status == TaskStatus::Running;
    if ran && containerd.task(&subject.id)?.status == TaskStatus::Paused {
        containerd.resume_task(&subject.id)?;
    }
    Ok(())
}

/// Writes the container's root file system back. One that does not run has little that is dirty, and no root to open.
fn sync_root(subject: &Subject) -> Result<()> {
    if subject.task.status == TaskStatus::Idle {
        return Ok(());
    }
    match File::open(format!("/proc/{}/root", subject.task.pid)) {
        Ok(root) => FilesystemSync::start(&root)?.wait(),
        // It has ended since.
        Err(_) => Ok(()),
    }
}
