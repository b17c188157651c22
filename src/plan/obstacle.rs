//! What stands in the way of a direct commit, and not of the real nerdctl's, whose daemon reads and writes the files: known
//! when the plan is made, or when the files are read and written.

use std::io;
use std::path::Path;

use anyhow::{Context, Error, Result, bail};
use nix::unistd::{AccessFlags, eaccess};
use rustix::io::Errno;

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

/// What we are forbidden to make (seccomp(2), or a cgroup's devices), the daemon can. Other errors stay as they are.
pub fn if_forbidden(error: Error) -> Error {
    if comes_of(&error, &[Errno::PERM, Errno::NOSYS]) {
        return Obstacle(format!("{error:#}")).into();
    }
    error
}

/// What is mounted in the container's own layer or those below, overlayfs does not show. Other errors stay as they are.
pub fn if_mounted_over(error: Error) -> Error {
    if comes_of(&error, &[Errno::XDEV]) {
        return Obstacle(format!("{error:#}: something is mounted there")).into();
    }
    error
}

fn comes_of(error: &Error, which: &[Errno]) -> bool {
    error.chain().any(|cause| {
        let inner = cause.downcast_ref::<io::Error>();
        let errno = inner.and_then(Errno::from_io_error);
        let errno = errno.or_else(|| cause.downcast_ref().copied());
        errno.is_some_and(|errno| which.contains(&errno))
    })
}

/// Whether an error tells of other files, or other rights, than containerd has; any other may have passed by the next try.
pub fn is_of_view(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound, PermissionDenied, ReadOnlyFilesystem};
    matches!(
        error.kind(),
        NotFound | NotADirectory | PermissionDenied | ReadOnlyFilesystem
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_forbidden_is_an_obstacle_and_what_fails_is_none() {
        let of = |errno: Errno| {
            let plain = Error::from(errno).context("cloning /x");
            let wrapped = Error::from(io::Error::from(errno)).context("cloning /x");
            [plain, wrapped].map(if_forbidden)
        };
        for error in of(Errno::PERM).into_iter().chain(of(Errno::NOSYS)) {
            assert!(error.to_string().starts_with("cloning /x: "), "{error}");
            assert!(error.is::<Obstacle>(), "{error}");
        }
        for error in of(Errno::NOSPC).into_iter().chain(of(Errno::ACCESS)) {
            assert!(!error.is::<Obstacle>(), "{error}");
        }
    }
}
