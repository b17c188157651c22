//! nerdctl, the real one where there is one, else the stand-in.
//!
//! The real one is what `FREEZEFRAME_TEST_NERDCTL` names, or `nerdctl` in PATH. All it
//! reads and writes is the daemon's: socket, data root, configuration.

use crate::shell::{Outcome, outcome, own_program};
use crate::{Daemon, Result};
use anyhow::Context;
use std::env;
use std::ffi::OsStr;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Once, OnceLock};

pub struct Nerdctl<'d> {
    pub program: PathBuf,
    pub is_real: bool,
    daemon: &'d Daemon,
}

impl<'d> Nerdctl<'d> {
    pub(crate) fn of(daemon: &'d Daemon) -> Result<Self> {
        let found = match real() {
            Some(program) => Self {
                program,
                is_real: true,
                daemon,
            },
            None => Self {
                program: stand_in(daemon)?,
                is_real: false,
                daemon,
            },
        };
        static ONCE: Once = Once::new();
        // Not by eprintln, whose output a test that passes keeps to itself.
        ONCE.call_once(|| drop(writeln!(stderr(), "with {}", found.describe())));
        Ok(found)
    }

    /// Which programs results were seen with, for whoever reads them.
    pub fn describe(&self) -> String {
        let nerdctl = self
            .run(&["--version"])
            .map_or_else(|e| e.to_string(), |o| o.text());
        // The server's version is the second of the two that ctr lists.
        let versions = self.daemon.ctr().run(&["version"]).unwrap_or_default();
        let containerd = versions.lines().rfind(|line| line.contains("Version:"));
        let containerd = containerd.unwrap_or_default().replace("Version:", "");
        format!("{nerdctl}; containerd {}", containerd.trim())
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        self.daemon.lead(&mut command);
        command
    }

    /// A call that may fail.
    pub fn outcome<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        outcome(self.command().args(arguments))
    }

    /// A call that must succeed.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        self.outcome(arguments)?.succeeded()
    }
}

fn real() -> Option<PathBuf> {
    if let Some(named) = env::var_os("FREEZEFRAME_TEST_NERDCTL") {
        return Some(named.into());
    }
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let path = env::var_os("PATH")?;
        let mut programs = env::split_paths(&path).map(|folder| folder.join("nerdctl"));
        programs.find(|program| program.is_file() && !is_freezeframe(program))
    };
    FOUND.get_or_init(find).clone()
}

/// Whether its version is that of the program which freezeframe takes for the real nerdctl.
fn is_freezeframe(program: &Path) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .env("FREEZEFRAME_NERDCTL", "/bin/false");
    outcome(&mut command).is_ok_and(|version| !version.status.success())
}

/// The stand-in under the name that it stands in for.
fn stand_in(daemon: &Daemon) -> Result<PathBuf> {
    let folder = daemon.run_folder().join("stand-in");
    let program = folder.join("nerdctl");
    if !program.exists() {
        std::fs::create_dir_all(&folder)?;
        let link = std::os::unix::fs::symlink(own_program("standin")?, &program);
        // Two threads of a test may both have found it missing.
        link.or_else(|error| if program.exists() { Ok(()) } else { Err(error) })
            .context("putting the stand-in in place")?;
    }
    Ok(program)
}
