//! Files that a direct commit writes and that cannot be written to from here, which only trying tells: such a commit is the
//! real nerdctl's, whose daemon writes them.

use std::path::Path;

use nix::unistd::{AccessFlags, eaccess};

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutOfReach(String);

impl OutOfReach {
    /// What containerd has there is not what we see: its files are another machine's or another mount namespace's.
    pub fn elsewhere(directory: &Path) -> Self {
        let directory = directory.display();
        Self(format!(
            "containerd's {directory} is not to be seen here: its files are elsewhere"
        ))
    }

    /// The directory is mounted read-only, as systemd's `ProtectSystem=strict` has it (access(2): EROFS), or protected.
    pub fn check_writable(directory: &Path) -> Result<(), Self> {
        eaccess(directory, AccessFlags::W_OK).map_err(|error| {
            let (directory, error) = (directory.display(), error.desc());
            Self(format!("{directory} cannot be written to: {error}"))
        })
    }
}
