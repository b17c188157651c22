//! The life of a containerd: started, stopped, ended, and started again on the same root and state.
//!
//! Its containers live on meanwhile, as their shims do.

use super::Daemon;
use crate::Result;
use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{MutexGuard, PoisonError};

impl Daemon {
    /// Sends containerd a signal: `STOP` has it stand still, `CONT` go on.
    pub fn signal(&self, signal: Signal) -> Result {
        let pid = Pid::from_child(&self.process());
        kill_process(pid, signal).context("sending containerd a signal")
    }

    /// Ends containerd by a signal and waits until it has ended.
    pub fn end(&self, signal: Signal) -> Result {
        self.signal(signal)?;
        self.process().wait().context("waiting for containerd")?;
        Ok(())
    }

    /// Starts it again after its end.
    pub fn start_again(&self) -> Result {
        *self.process() = spawn(&self.folder, self.unified_cgroups)?;
        self.wait_until_it_answers()
    }

    pub(super) fn process(&self) -> MutexGuard<'_, Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn spawn(folder: &Path, unified_cgroups: bool) -> Result<Child> {
    let mut log = File::options();
    let log = log.create(true).append(true);
    let log = log.open(folder.join("run/containerd.log"))?;
    let mut command = Command::new("containerd");
    if unified_cgroups {
        command = Command::new("unshare");
        let script = include_str!("unified.sh");
        command.args(["--mount", "sh", "-ec", script, "unified"]);
        command.arg(folder);
    }
    command
        .arg("--config")
        .arg(folder.join("run/containerd.toml"));
    // A group of its own: Ctrl-C is for the tests, the caretaker ends containerd.
    command
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0);
    command
        .spawn()
        .context("starting containerd: is tests/setup sourced?")
}
