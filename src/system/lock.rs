//! Exclusive flock(2) locks on directories; the kernel drops them with the process.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::sys::stat::Mode;

use super::signals;

const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Held until dropped.
pub struct DirectoryLock {
    _lock: Flock<OwnedFd>,
}

impl DirectoryLock {
    /// Waits for the exclusive lock on the directory `path`. A signal ends the wait.
    pub fn acquire(path: &Path) -> Result<Self> {
        loop {
            if let Some(lock) = Self::try_acquire(path)? {
                return Ok(lock);
            }
            signals::check()?;
            std::thread::sleep(RETRY_PAUSE);
        }
    }

    /// `None` where somebody else has it.
    pub fn try_acquire(path: &Path) -> Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(path, flags, Mode::empty())
            .with_context(|| format!("opening {} to lock it", path.display()))?;
        match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self { _lock: lock })),
            Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => Ok(None),
            Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }
}
