//! Running programs and waiting, with errors that say all there is to say.
//!
//! A program that fails unexpectedly is an error holding its command line, status and
//! both outputs: enough to understand a red test without running it again.

use crate::Result;
use anyhow::{Context, bail};
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// What a program left behind when it ended.
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    command: String,
}

impl Outcome {
    pub fn of(command: &Command, output: Output) -> Self {
        let Output {
            status,
            stdout,
            stderr,
        } = output;
        Self {
            status,
            stdout,
            stderr,
            command: format!("{command:?}"),
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).trim_end().to_owned()
    }

    pub fn error_text(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim_end().to_owned()
    }

    /// Itself if the program succeeded, else an error that tells everything.
    pub fn succeeded(self) -> Result<Self> {
        if !self.status.success() {
            bail!("{}", self.describe());
        }
        Ok(self)
    }

    /// Itself if the program failed by itself, else an error that tells everything.
    pub fn failed(self) -> Result<Self> {
        if self.status.success() || self.status.code().is_none() {
            bail!("expected to fail: {}", self.describe());
        }
        Ok(self)
    }

    pub fn describe(&self) -> String {
        let Self {
            status, command, ..
        } = self;
        let (out, err) = (self.text(), self.error_text());
        format!("{command}\n{status}\nstdout: {out}\nstderr: {err}")
    }
}

/// Runs `command` to its end, whatever that is.
pub fn outcome(command: &mut Command) -> Result<Outcome> {
    let output = command
        .output()
        .with_context(|| format!("running {command:?}"))?;
    Ok(Outcome::of(command, output))
}

/// Polls until `condition` gives something, for at most `limit`.
pub fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = condition()? {
            return Ok(found);
        }
        if start.elapsed() > limit {
            bail!("waited {limit:?} in vain: {what}");
        }
        sleep(Duration::from_millis(2));
    }
}

/// What a container prints that `run` runs and that soon ends. ctr closes its output when it has ended, read or not
/// (containerd 1.6.20, task.go, `Delete`): on a busy machine all of it may be lost, so one that printed nothing runs again.
pub fn printed(mut run: impl FnMut() -> Result<Outcome>) -> Result<String> {
    wait_until("a container printing", Duration::from_secs(10), || {
        let text = run()?.succeeded()?.text();
        Ok((!text.is_empty()).then_some(text))
    })
}

/// Says that a test has checked nothing, and why. Not by eprintln, whose output a test that passes keeps to itself.
pub fn skipped(why: &str) {
    let line = format!("SKIPPED, NOTHING CHECKED: {why}\n");
    // Nobody reads it where it cannot be written.
    let _ = stderr().write_all(line.as_bytes());
}

/// The path of one of this library's own programs, built beside the running one.
pub fn own_program(name: &str) -> Result<PathBuf> {
    let running = std::env::current_exe().context("finding the running program")?;
    let built = running
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name));
    let found = built.into_iter().find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built: run `cargo build --release --workspace`"))
}
