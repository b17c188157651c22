//! Memory for the contents that are being copied: bounded, and used again and again.
//!
//! Until it is used it is the kernel's, as many commits may be under way on one machine.

use std::io;
use std::os::fd::BorrowedFd;

use crate::system::file;

/// As much as a disk likes at once.
const ENOUGH_TO_WRITE: usize = 8 << 20;

pub struct Memory {
    bytes: Vec<u8>,
    used: usize,
}

impl Memory {
    pub fn new(bytes: usize) -> Self {
        Self {
            bytes: vec![0; bytes],
            used: 0,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// In bytes.
    pub fn room(&self) -> u64 {
        (self.bytes.len() - self.used) as u64
    }

    /// Whether so much has been read that it is time to write.
    pub fn has_enough(&self) -> bool {
        self.used >= ENOUGH_TO_WRITE.min(self.bytes.len() / 2)
    }

    /// Reads at most `length` bytes, for which there is room; returns where they lie, and how many there were.
    pub fn read(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: u64,
    ) -> io::Result<(usize, u64)> {
        let start = self.used;
        let end = start + usize::try_from(length).unwrap_or(0);
        let count = file::read_at(file, &mut self.bytes[start..end], offset)?;
        self.used += count;
        Ok((start, count as u64))
    }

    /// Forgets what was read.
    pub fn reuse(&mut self) {
        self.used = 0;
    }

    /// Takes so many bytes from the kernel now: it would hand them out one page at a time, in a freeze.
    pub fn warm_up(&mut self, expected: u64) {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let end = expected.min(self.bytes.len());
        self.bytes[..end].fill(0xff);
    }
}
