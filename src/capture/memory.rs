//! Memory for the contents that are being copied: bounded, and used again and again.
//!
//! Until it is used it is the kernel's, as many commits may be under way on one machine. Small contents that it has no room
//! for go into one file together: to make one for each takes longer than to read them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use anyhow::Result;

use super::staging::{StagedFile, Staging};
use crate::system::file::{self, Segment};

/// As much as a disk likes at once.
const ENOUGH_TO_WRITE: usize = 8 << 20;

/// Larger contents are better staged by themselves, in bytes.
const LARGEST_OVERFLOW: u64 = 64 << 10;

/// Where a run of bytes belongs in its file, and where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    pub offset: u64,
    pub place: Place,
    pub length: usize,
}

/// An offset in bytes.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    Memory(usize),
    Overflow(u64),
}

pub struct Memory {
    bytes: Vec<u8>,
    used: usize,
    /// Before `staging`, the end of which removes what was given up.
    overflow: Option<(File, StagedFile)>,
    overflowed: u64,
    staging: Arc<Staging>,
}

impl Memory {
    pub fn new(bytes: usize, staging: Arc<Staging>) -> Self {
        Self {
            bytes: vec![0; bytes],
            used: 0,
            overflow: None,
            overflowed: 0,
            staging,
        }
    }

    /// Whether it takes so many bytes of a file.
    pub fn takes(&self, length: u64) -> bool {
        length <= self.room().max(LARGEST_OVERFLOW)
    }

    /// Writes a piece to where it belongs in `file`.
    pub fn write(&self, piece: Piece, file: BorrowedFd<'_>) -> io::Result<()> {
        match (piece.place, &self.overflow) {
            (Place::Memory(start), _) => {
                file::write_at(file, &self.bytes[start..][..piece.length], piece.offset)
            }
            (Place::Overflow(start), Some((overflow, _))) => {
                let mut bytes = vec![0; piece.length];
                let count = file::read_at(overflow.as_fd(), &mut bytes, start)?;
                file::write_at(file, &bytes[..count], piece.offset)
            }
            // No piece is beyond the memory before there is that file.
            (Place::Overflow(_), None) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// In bytes, without the file.
    pub fn room(&self) -> u64 {
        (self.bytes.len() - self.used) as u64
    }

    /// Whether so much has been read that it is time to write.
    pub fn has_enough(&self) -> bool {
        self.used >= ENOUGH_TO_WRITE.min(self.bytes.len() / 2)
    }

    /// Reads a segment of contents that it takes; less where the file ends.
    pub fn read(&mut self, file: BorrowedFd<'_>, segment: Segment) -> Result<Piece> {
        if segment.length > self.room() {
            return self.read_into_overflow(file, segment);
        }
        let start = self.used;
        let end = start + usize::try_from(segment.length)?;
        let length = file::read_at(file, &mut self.bytes[start..end], segment.offset)?;
        self.used += length;
        Ok(Piece {
            offset: segment.offset,
            place: Place::Memory(start),
            length,
        })
    }

    fn read_into_overflow(&mut self, file: BorrowedFd<'_>, segment: Segment) -> Result<Piece> {
        let mut bytes = vec![0; usize::try_from(segment.length)?];
        let length = file::read_at(file, &mut bytes, segment.offset)?;
        let (overflow, _) = match &mut self.overflow {
            Some(overflow) => overflow,
            none => none.insert(self.staging.create()?),
        };
        let start = self.overflowed;
        file::write_at(overflow.as_fd(), &bytes[..length], start)?;
        self.overflowed += length as u64;
        Ok(Piece {
            offset: segment.offset,
            place: Place::Overflow(start),
            length,
        })
    }

    /// Forgets what was read.
    pub fn reuse(&mut self) {
        (self.used, self.overflowed) = (0, 0);
    }

    /// Forgets what was read, and gives up the file.
    pub fn give_up_file(&mut self) {
        self.reuse();
        self.overflow = None;
    }

    /// Takes so many bytes from the kernel now: it would hand them out one page at a time, in a freeze.
    pub fn warm_up(&mut self, expected: u64) {
        let expected = usize::try_from(expected).unwrap_or(usize::MAX);
        let end = expected.min(self.bytes.len());
        self.bytes[..end].fill(0xff);
    }
}
