//! A file that takes the room on a file system, until it is dropped.

use crate::Result;
use anyhow::Context;
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The smallest piece that is asked for.
const PIECE: u64 = 4096;

pub struct Filler(PathBuf);

impl Filler {
    /// Leaves `left` bytes free on the file system of `folder`, or a little more.
    pub fn new(folder: &Path, left: u64) -> Result<Self> {
        let path = folder.join("filler");
        let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
        let filler = Self(path);
        let space = statvfs(folder).context("asking for the free space")?;
        let free = space.f_bfree * space.f_frsize;
        let mut length = 0;
        let mut piece = free.saturating_sub(left);
        // What the file system needs for itself is not known before it refuses.
        while piece >= PIECE {
            match fallocate(&file, FallocateFlags::empty(), length, piece) {
                Ok(()) => length += piece,
                Err(Errno::NOSPC) => piece /= 2,
                Err(error) => return Err(error).context("filling a file system"),
            }
            piece = piece.min(free.saturating_sub(left).saturating_sub(length));
        }
        Ok(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // Its file system may be gone already.
        let _ = fs::remove_file(&self.0);
    }
}
