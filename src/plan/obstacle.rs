//! What stands in the way of a direct commit, and not of the real nerdctl's, whose daemon reads and writes the files: known when
//! the plan is made, or, of files that cannot be written to from here, when that is tried.

use std::io;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::unistd::{AccessFlags, eaccess};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Obstacle(pub String);

impl Obstacle {
    /// What containerd has there is not what we see: its files are another machine's or another mount namespace's.
    pub fn elsewhere(directory: &Path) -> Self {
        let directory = directory.display();
        Self(format!(
            "containerd's {directory} is not to be seen here: its files are elsewhere"
        ))
    }

    /// # Errors
    /// `Obstacle`: the directory is mounted read-only, as systemd's `ProtectSystem=strict` has it (access(2): EROFS), or
    /// protected.
    pub fn check_writable(directory: &Path) -> Result<()> {
        let Err(error) = eaccess(directory, AccessFlags::W_OK) else {
            return Ok(());
        };
        let name = directory.display();
        if is_of_view(&error.into()) {
            bail!(Self(format!(
                "{name} cannot be written to: {}",
                error.desc()
            )));
        }
        Err(error).with_context(|| format!("asking whether {name} can be written to"))
    }
}

/// Whether an error tells of other files, or other rights, than containerd has; any other may have passed by the next try.
pub fn is_of_view(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(
        error.kind(),
        NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem
    )
}
