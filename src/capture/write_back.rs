//! Writing the clone back as it grows, so that neighbours do not wait behind all of it at once.
//!
//! Pages that wait to be written count against everybody who writes to the same machine. While one portion is
//! written the next is made, and while somebody waits for the disk then, the others make one more, which is written with
//! it: no more than four are kept waiting.
//!
//! Where there is room for the whole clone among them, it waits for the layer, which gives the disk what it has read of
//! large files: the copy waits for nothing then, and a freeze has the disk to itself. A pass that copies a few files again
//! has them written back alone.

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use anyhow::{Context, Result};

use crate::system::cache;
use crate::system::sync::DiskSync;
use crate::system::tree::Tree;

const PORTION: u64 = 64 << 20;
/// What may be put off for a single syncfs: a neighbour's fsync, which waits for it, took a third of a second then, as
/// beside the portions.
const MOST_AT_ONCE: u64 = 384 << 20;

/// What so few files have to write is sooner written by itself than with the clone, where that waits.
pub const FEW_FILES: usize = 32;

pub struct WriteBack {
    root: OwnedFd,
    is_put_off: bool,
    /// Bytes since the last portion.
    bytes: AtomicU64,
    running: Mutex<Option<DiskSync>>,
}

impl WriteBack {
    pub fn of(tree: &Tree) -> Result<Self> {
        let root = tree.root().try_clone_to_owned();
        Ok(Self {
            root: root.context("duplicating a descriptor")?,
            is_put_off: false,
            bytes: AtomicU64::new(0),
            running: Mutex::default(),
        })
    }

    /// Has nothing written, if half of what may wait has room for the `expected` bytes, and only few are in `small` files,
    /// which the layer does not give to the disk.
    pub fn put_off(&mut self, expected: u64, small: u64) {
        self.is_put_off = expected <= cache::most_unwritten() / 2 && small <= MOST_AT_ONCE;
    }

    pub fn is_put_off(&self) -> bool {
        self.is_put_off
    }

    /// To be told of bytes that were written. Waits where the disk is slower than we are.
    pub fn wrote(&self, bytes: u64) -> Result<()> {
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting < PORTION || self.is_put_off {
            return Ok(());
        }
        let mut running = match self.running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::WouldBlock) if waiting < 2 * PORTION => return Ok(()),
            Err(TryLockError::WouldBlock) => self.lock(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        };
        if self.bytes.load(Ordering::Relaxed) < PORTION {
            // It has begun meanwhile.
            return Ok(());
        }
        if let Some(before) = running.take() {
            before.wait()?;
        }
        self.bytes.store(0, Ordering::Relaxed);
        *running = Some(DiskSync::of_file_system(&self.root)?);
        Ok(())
    }

    /// Waits for the portion that is being written: a freeze must not share the disk with it, nor the process with its
    /// thread, which a terminal's stop signal could stop all of us through.
    pub fn settle(&self) -> Result<()> {
        self.lock().take().map_or(Ok(()), DiskSync::wait)
    }

    fn lock(&self) -> MutexGuard<'_, Option<DiskSync>> {
        // Whoever panicked has left it as it was.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
