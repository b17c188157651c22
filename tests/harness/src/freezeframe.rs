//! Our program, called as its users call it: by the name `nerdctl`.
//!
//! A symlink of that name leads to the tested binary, which finds the real nerdctl
//! (or the stand-in) through `FREEZEFRAME_NERDCTL`. Each commit gets a report file.

use crate::committing::{Commit, Committing};
use crate::freezer::Freezer;
use crate::haste::Haste;
use crate::nerdctl::Nerdctl;
use crate::shell::{Outcome, outcome};
use crate::{Container, Daemon, Result};
use anyhow::{Context, bail};
use rustix::process::Signal;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Freezeframe<'d> {
    daemon: &'d Daemon,
    alias: PathBuf,
    environment: Vec<(OsString, OsString)>,
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

    /// A command of another program, `words`, which end with our own.
    pub fn command_behind(&self, words: &[&str]) -> Command {
        let own = self.command();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        command.arg(own.get_program()).args(own.get_args());
        for (key, value) in own.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
    }

    pub fn outcome<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        outcome(self.command().args(arguments))
    }

    /// `nerdctl commit FLAGS CONTAINER REFERENCE`, to its end.
    pub fn commit(&self, container: &Container, reference: &str, flags: &[&str]) -> Result<Commit> {
        self.start_commit(container, reference, flags)?.finish()
    }

    /// The same that stands still (SIGSTOP) at the beginning of `stage` while `act` is done. It is let go on to its end whatever
    /// comes of that.
    pub fn commit_while(
        &self,
        container: &Container,
        reference: &str,
        flags: &[&str],
        stage: &str,
        act: impl FnOnce() -> Result,
    ) -> Result<Commit> {
        let flags = [&["--debug"], flags].concat();
        let mut committing = self.start_commit(container, reference, &flags)?;
        committing.wait_for_stage(stage)?;
        committing.stop()?;
        let acted = act();
        committing.signal(Signal::CONT)?;
        let commit = committing.finish()?;
        acted.map(|()| commit)
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
        Ok(Committing::new(child, command, report))
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
        self.catch_a_freeze(word, freezer, reference, |_| Ok(true))
    }

    /// A commit that is stopped (SIGSTOP) while it has the container frozen. Its watchdog thaws after five seconds.
    pub fn hold_commit_in_freeze(
        &self,
        container: &Container,
        reference: &str,
    ) -> Result<Committing> {
        self.hold_commit_of_in_freeze(&container.name, &container.freezer()?, reference)
    }

    /// The same for whatever `word` names and `freezer` freezes.
    pub fn hold_commit_of_in_freeze(
        &self,
        word: &str,
        freezer: &Freezer,
        reference: &str,
    ) -> Result<Committing> {
        self.catch_a_freeze(word, freezer, reference, |committing| {
            committing.stop()?;
            // The freeze may have ended before it stood still.
            Ok(freezer.is_frozen())
        })
    }

    fn catch_a_freeze(
        &self,
        word: &str,
        freezer: &Freezer,
        reference: &str,
        catch: impl Fn(&Committing) -> Result<bool>,
    ) -> Result<Committing> {
        for _ in 0..COMMITS_TO_CATCH_A_FREEZE {
            let mut committing = self.start_commit_of(word, reference, &["--debug"])?;
            committing.wait_for_stage("freeze")?;
            let haste = Haste::new()?;
            if committing.wait_until_frozen(freezer)? && catch(&committing)? {
                return Ok(committing);
            }
            drop(haste);
            // It may stand still.
            committing.signal(Signal::CONT)?;
            committing.finish()?.succeeded()?;
        }
        bail!("none of {COMMITS_TO_CATCH_A_FREEZE} commits was caught in its freeze")
    }
}

const COMMITS_TO_CATCH_A_FREEZE: u32 = 10;
