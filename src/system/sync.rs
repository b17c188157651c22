//! syncfs(2) with an end: one file system, never all, and no wait that a neighbour's dirty pages make endless.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::signals;

const BOUND: Duration = Duration::from_secs(120);
const SIGNAL_POLL: Duration = Duration::from_millis(20);

/// A syncfs that runs beside us.
pub struct FilesystemSync {
    answer: mpsc::Receiver<rustix::io::Result<()>>,
}

impl FilesystemSync {
    /// Starts to write back the file system that `file` is on.
    pub fn start(file: &impl AsFd) -> Result<Self> {
        let file: OwnedFd = file
            .as_fd()
            .try_clone_to_owned()
            .context("duplicating a descriptor")?;
        let (sender, answer) = mpsc::channel();
        std::thread::Builder::new()
            .name("syncfs".into())
            .spawn(move || {
                // It may live on into a freeze, in which a terminal's stop must not find it.
                let _ = signals::block_stops();
                sender.send(rustix::fs::syncfs(file))
            })
            .context("starting a thread for syncfs")?;
        Ok(Self { answer })
    }

    /// Waits until all that was dirty at the start is on disk. A signal ends the wait, and so does the bound.
    pub fn wait(self) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.answer.recv_timeout(SIGNAL_POLL) {
                Ok(answer) => {
                    return answer.context("writing the container's file system back (syncfs)");
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the thread for syncfs ended without an answer")
                }
                Err(RecvTimeoutError::Timeout) => signals::check()?,
            }
            if began.elapsed() > BOUND {
                bail!(
                    "the container's file system was not written back within {} s: other programs keep its disk busy, \
                     try again when they are done",
                    BOUND.as_secs()
                );
            }
        }
    }
}
