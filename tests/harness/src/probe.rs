//! The probe on the host's side: the embedded program, and its check of a tree.

use crate::Result;
use crate::shell::outcome;
use anyhow::Context;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A static program: it runs in any image, and on the host.
pub const PROGRAM: &[u8] = include_bytes!(env!("PROBE"));

const NAME: &str = "probe";

pub fn install(folder: &Path) -> Result {
    let path = folder.join(NAME);
    fs::write(&path, PROGRAM)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Where it lies on the daemon's host, to be run there.
#[must_use]
pub fn installed(daemon: &crate::Daemon) -> PathBuf {
    daemon.run_folder().join(NAME)
}

/// Whether the tree below `directory`, seen from the host, keeps the probe's law.
pub fn check_law(daemon: &crate::Daemon, directory: &Path) -> Result {
    let mut command = Command::new(installed(daemon));
    outcome(command.arg("check-law").arg(directory))?
        .succeeded()
        .context("the tree is not of one moment")?;
    Ok(())
}
