//! Memory for the contents that are being copied: bounded, and used again and again.
//!
//! Until it is used it is the kernel's, as many commits may be under way on one machine.

use std::io;
use std::os::fd::BorrowedFd;

use crate::system::file::{self, Segment};

/// As much as a disk likes at once.
const ENOUGH_TO_WRITE: usize = 8 << 20;

/// Where a run of bytes belongs in its file, and where it lies in the memory.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub offset: u64,
    pub start: usize,
    pub length: usize,
}

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

    pub fn bytes_of(&self, piece: Piece) -> &[u8] {
        &self.bytes[piece.start..][..piece.length]
    }

    /// In bytes.
    pub fn room(&self) -> u64 {
        (self.bytes.len() - self.used) as u64
    }

    /// Whether so much has been read that it is time to write.
    pub fn has_enough(&self) -> bool {
        self.used >= ENOUGH_TO_WRITE.min(self.bytes.len() / 2)
    }

    /// Reads a segment, for which there is room; less where the file ends.
    pub fn read(&mut self, file: BorrowedFd<'_>, segment: Segment) -> io::Result<Piece> {
        let start = self.used;
        let end = start + usize::try_from(segment.length).unwrap_or(0);
        let length = file::read_at(file, &mut self.bytes[start..end], segment.offset)?;
        self.used += length;
        Ok(Piece {
            offset: segment.offset,
            start,
            length,
        })
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
