//! Our program, called as its users call it: by the name `nerdctl`.
//!
//! A symlink of that name leads to the tested binary, which finds the real nerdctl
//! (or the stand-in) through `FREEZEFRAME_NERDCTL`. Each commit gets a report file.

use crate::freezer::Freezer;
use crate::nerdctl::Nerdctl;
use crate::shell::{Outcome, outcome};
use crate::{Container, Daemon, Result};
use anyhow::{Context, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub struct Freezeframe<'d> {
    daemon: &'d Daemon,
    alias: PathBuf,
    environment: Vec<(OsString, OsString)>,
}

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

impl<'d> Freezeframe<'d> {
    pub(crate) fn of(daemon: &'d Daemon, program: &Path) -> Result<Self> {
        let Nerdctl { program: real, .. } = daemon.nerdctl()?;
        let alias = daemon.new_folder("alias")?.join("nerdctl");
        symlink(program, &alias).context("naming freezeframe nerdctl")?;
        let environment = vec![("FREEZEFRAME_NERDCTL".into(), real.into())];
        Ok(Self {
            daemon,
            alias,
            environment,
        })
    }

    /// The same with one more variable in its environment, or another value of one.
    pub fn with(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// The symlink: `nerdctl`, first in the PATH of somebody who has installed us.
    pub fn alias(&self) -> &Path {
        &self.alias
    }

    pub fn command(&self) -> Command {
        let mut command = self.daemon.command_beside(&self.alias);
        self.daemon.lead(&mut command);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    pub fn outcome<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        outcome(self.command().args(arguments))
    }

    /// `nerdctl commit FLAGS CONTAINER REFERENCE`, to its end.
    pub fn commit(&self, container: &Container, reference: &str, flags: &[&str]) -> Result<Commit> {
        self.start_commit(container, reference, flags)?.finish()
    }

    /// The same while it goes on, for signals and for what happens meanwhile.
    pub fn start_commit(
        &self,
        container: &Container,
        reference: &str,
        flags: &[&str],
    ) -> Result<Committing> {
        self.start_commit_of(&container.name, reference, flags)
    }

    /// The same for whatever `word` names.
    pub fn start_commit_of(
        &self,
        word: &str,
        reference: &str,
        flags: &[&str],
    ) -> Result<Committing> {
        let report = self
            .daemon
            .run_folder()
            .join(self.daemon.unique("report.json"));
        let mut command = self.command();
        command.arg("commit").args(flags).args([word, reference]);
        command
            .env("FREEZEFRAME_REPORT", &report)
            .stdin(Stdio::null());
        // A group of its own, as a shell with job control gives it: only there does
        // SIGTSTP stop.
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn();
        let child = child.with_context(|| format!("starting {command:?}"))?;
        Ok(Committing {
            child,
            command,
            report,
            heard: Vec::new(),
        })
    }
}

impl Freezeframe<'_> {
    /// A commit that has the container frozen now. A freeze that began and ended between
    /// two looks of ours is missed on a busy machine: then another commit is made.
    pub fn start_commit_until_frozen(
        &self,
        container: &Container,
        reference: &str,
    ) -> Result<Committing> {
        self.start_commit_of_until_frozen(&container.name, &container.freezer()?, reference)
    }

    /// The same for whatever `word` names and `freezer` freezes.
    pub fn start_commit_of_until_frozen(
        &self,
        word: &str,
        freezer: &Freezer,
        reference: &str,
    ) -> Result<Committing> {
        for _ in 0..COMMITS_TO_CATCH_A_FREEZE {
            let mut committing = self.start_commit_of(word, reference, &["--debug"])?;
            committing.wait_for_stage("freeze")?;
            if committing.wait_until_frozen(freezer)? {
                return Ok(committing);
            }
            committing.finish()?.succeeded()?;
        }
        bail!("none of {COMMITS_TO_CATCH_A_FREEZE} commits was seen to freeze")
    }
}

const COMMITS_TO_CATCH_A_FREEZE: u32 = 5;

/// A commit under way.
pub struct Committing {
    pub child: Child,
    command: Command,
    report: PathBuf,
    /// What was read of its standard error.
    heard: Vec<u8>,
}

impl Committing {
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
    fn wait_until_frozen(&mut self, freezer: &Freezer) -> Result<bool> {
        while self.child.try_wait()?.is_none() {
            if freezer.is_frozen() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn signal(&self, signal: Signal) -> Result {
        kill_process(Pid::from_child(&self.child), signal).context("sending freezeframe a signal")
    }

    pub fn finish(self) -> Result<Commit> {
        let mut output = self
            .child
            .wait_with_output()
            .context("waiting for freezeframe")?;
        output.stderr.splice(..0, self.heard);
        let outcome = Outcome::of(&self.command, output);
        let report = match std::fs::read(&self.report) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("reading the report")?,
            Err(_) => Value::Null,
        };
        Ok(Commit { outcome, report })
    }
}
