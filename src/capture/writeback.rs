//! Writing the clone back as it grows, so that neighbours do not wait behind all of it at once.
//!
//! Pages that wait to be written count against everybody who writes to the same machine. No more than two portions are
//! kept waiting: the one that is being made and the one before, which is being written.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::system::sync::FilesystemSync;
use crate::system::tree::Tree;

const PORTION: u64 = 128 << 20;

pub struct WriteBack {
    root: OwnedFd,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// Bytes since the last portion.
    bytes: u64,
    running: Option<FilesystemSync>,
}

impl WriteBack {
    pub fn of(tree: &Tree) -> Result<Self> {
        let root = tree.root().try_clone_to_owned();
        Ok(Self {
            root: root.context("duplicating a descriptor")?,
            progress: Mutex::default(),
        })
    }

    /// To be told of bytes that were written. Waits where the disk is slower than we are.
    pub fn wrote(&self, bytes: u64) -> Result<()> {
        // Whoever panicked has left the numbers as they were.
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.bytes += bytes;
        if progress.bytes < PORTION {
            return Ok(());
        }
        if let Some(before) = progress.running.take() {
            before.wait()?;
        }
        progress.bytes = 0;
        progress.running = Some(FilesystemSync::start(&self.root)?);
        Ok(())
    }

    /// Waits for the portion that is being written: a freeze must not share the disk with it, nor the process with its
    /// thread, which a terminal's stop signal could stop all of us through.
    pub fn settle(&self) -> Result<()> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.running.take().map_or(Ok(()), FilesystemSync::wait)
    }
}
