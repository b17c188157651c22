//! A commit of ours under way, and what is known of it when it has ended.

use crate::Result;
use crate::freezer::Freezer;
use crate::shell::{Outcome, wait_until};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

/// Between two looks at a freezer: so short that a freeze is caught, so long that the commit can go on beside.
const LOOK: Duration = Duration::from_micros(100);

/// A commit that has ended, well or not.
pub struct Commit {
    pub outcome: Outcome,
    /// Null if the program wrote none.
    pub report: Value,
}

impl Commit {
    /// Itself if it succeeded, else an error that tells everything.
    pub fn succeeded(self) -> Result<Self> {
        let Self { outcome, report } = self;
        let outcome = outcome
            .succeeded()
            .with_context(|| format!("its report: {report:#}"))?;
        Ok(Self { outcome, report })
    }

    pub fn failed(self) -> Result<Self> {
        let Self { outcome, report } = self;
        let outcome = outcome
            .failed()
            .with_context(|| format!("its report: {report:#}"))?;
        Ok(Self { outcome, report })
    }

    pub fn frozen_ms(&self) -> f64 {
        self.report["frozen_ms"].as_f64().unwrap_or(f64::NAN)
    }
}

/// A commit under way.
pub struct Committing {
    pub child: Child,
    command: Command,
    report: PathBuf,
    /// What was read of its standard error.
    heard: Vec<u8>,
}

impl Committing {
    pub(crate) fn new(child: Child, command: Command, report: PathBuf) -> Self {
        Self {
            child,
            command,
            report,
            heard: Vec::new(),
        }
    }

    /// Returns when `--debug` announces the stage.
    pub fn wait_for_stage(&mut self, name: &str) -> Result {
        let announcement = format!("msg=\"stage {name}\"\n");
        let stream = self.child.stderr.as_mut().context("its standard error")?;
        // Byte by byte, so that nothing after the line is taken from `finish`.
        while !self.heard.ends_with(announcement.as_bytes()) {
            let mut byte = [0];
            let ended = stream.read(&mut byte)? == 0;
            let heard = String::from_utf8_lossy(&self.heard);
            ensure!(!ended, "it ended before its stage {name}:\n{heard}");
            self.heard.push(byte[0]);
        }
        Ok(())
    }

    /// False if it ends without having been seen to freeze.
    pub fn wait_until_frozen(&mut self, freezer: &Freezer) -> Result<bool> {
        while self.child.try_wait()?.is_none() {
            if freezer.is_frozen() {
                return Ok(true);
            }
            sleep(LOOK);
        }
        Ok(false)
    }

    pub fn signal(&self, signal: Signal) -> Result {
        kill_process(Pid::from_child(&self.child), signal).context("sending freezeframe a signal")
    }

    /// Sends a signal to all of its process group, which is its own.
    pub fn signal_group(&self, signal: Signal) -> Result {
        kill_process_group(Pid::from_child(&self.child), signal)
            .context("sending freezeframe's group a signal")
    }

    /// Stops it, and waits until it stands still.
    pub fn stop(&self) -> Result {
        self.signal(Signal::STOP)?;
        wait_until("it being stopped", Duration::from_secs(10), || {
            // An ended one stands still as well.
            Ok(matches!(self.state()?, 'T' | 'Z').then_some(()))
        })
    }

    /// The letter in `proc_pid_stat(5)`; the name before it may hold anything.
    pub fn state(&self) -> Result<char> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let rest = stat.rsplit_once(") ").map(|(_, rest)| rest);
        Ok(rest.and_then(|rest| rest.chars().next()).unwrap_or('?'))
    }

    /// Its watchdog, once it has one.
    pub fn watchdog(&self) -> Option<Pid> {
        watchdog_of(&self.child)
    }

    /// Sends its watchdog a signal.
    pub fn signal_watchdog(&self, signal: Signal) -> Result {
        let watchdog = self.watchdog().context("it has no watchdog")?;
        kill_process(watchdog, signal).context("sending the watchdog a signal")
    }

    /// Its end, which must come in time.
    pub fn finish_within(mut self, limit: Duration) -> Result<Commit> {
        let ended = wait_until("the commit's end", limit, || Ok(self.child.try_wait()?));
        if ended.is_err() {
            self.signal(Signal::KILL)?;
        }
        let commit = self.finish()?;
        ended.with_context(|| commit.outcome.describe())?;
        Ok(commit)
    }

    pub fn finish(self) -> Result<Commit> {
        let mut output = self
            .child
            .wait_with_output()
            .context("waiting for freezeframe")?;
        output.stderr.splice(..0, self.heard);
        let outcome = Outcome::of(&self.command, output);
        let report = match fs::read(&self.report) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("reading the report")?,
            Err(_) => Value::Null,
        };
        Ok(Commit { outcome, report })
    }
}

/// The watchdog of a commit that is `child`.
pub fn watchdog_of(child: &Child) -> Option<Pid> {
    let commit = child.id();
    let children = fs::read_to_string(format!("/proc/{commit}/task/{commit}/children")).ok()?;
    let is_watchdog = |child: &&str| {
        let line = fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.contains("\0watchdog\0")
    };
    let child = children.split_whitespace().find(is_watchdog)?;
    Pid::from_raw(child.parse().ok()?)
}
