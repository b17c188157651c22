//! Writing the clone back as it grows, so that neighbours do not wait behind all of it at once.
//!
//! Pages that wait to be written count against everybody who writes to the same machine. While one portion is
//! written the next is made, and while somebody waits for the disk then, the others make one more, which is written with
//! it: no more than four are kept waiting.
//!
//! Where there is room for the whole clone among them, it waits for the layer, which gives the disk what it has read of
//! large files: the copy waits for nothing then, and a freeze has the disk to itself. A pass that copies a few files again
//! has their sources written back alone.

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

/// Where the clone waits to be written, a pass with no more files to copy syncs each of them, and not the file system. Such
/// passes are expected where no more entries have changed lately.
pub const FEW_FILES: usize = 32;

pub struct WriteBack {
    root: OwnedFd,
    /// Up to how many bytes all of it is put off; zero if it is not.
    put_off: AtomicU64,
    /// Bytes since the last portion.
    bytes: AtomicU64,
    running: Mutex<Option<DiskSync>>,
}

impl WriteBack {
    pub fn of(tree: &Tree) -> Result<Self> {
        let root = tree.root().try_clone_to_owned();
        Ok(Self {
            root: root.context("duplicating a descriptor")?,
            put_off: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            running: Mutex::default(),
        })
    }

    /// Has nothing written, if half of what may wait has room for the `expected` bytes, and only few are in `small` files,
    /// which the layer does not give to the disk. Should more be written than there is room for, it is put off no longer.
    pub fn put_off(&self, expected: u64, small: u64) {
        let room = cache::most_unwritten() / 2;
        if expected <= room && small <= MOST_AT_ONCE {
            self.put_off.store(room, Ordering::Relaxed);
        }
    }

    /// Whether there is something that was put off, for which a syncfs would wait.
    pub fn has_put_off(&self) -> bool {
        self.put_off.load(Ordering::Relaxed) > 0 && self.bytes.load(Ordering::Relaxed) > 0
    }

    /// To be told of bytes that were written. Waits where the disk is slower than we are.
    pub fn wrote(&self, bytes: u64) -> Result<()> {
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting < PORTION.max(self.put_off.load(Ordering::Relaxed)) {
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
        self.put_off.store(0, Ordering::Relaxed);
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
