//! Contents of files that are open.
//!
//! Reading goes by the data a file has, and holes stay holes. A write that is under way is waited for first: ext4 and
//! btrfs do so when they are asked for data (`SEEK_DATA`, lseek(2)), xfs when it reads. All sizes are bounds the caller
//! gives, never what the file says by now.

use std::io;
use std::os::fd::BorrowedFd;

use anyhow::Result;
use rustix::fs::{FallocateFlags, SeekFrom};
use rustix::io::Errno;

use super::check::Check;

/// So that a long copy can be stopped, and that whoever writes to a file waits for a small part of it only.
const PIECE: u64 = 1 << 20;
/// So that a file of many pieces can be left: so many take milliseconds to find.
const SEGMENTS_AT_ONCE: usize = 1024;

/// A run of bytes that is no hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    pub offset: u64,
    pub length: u64,
}

impl Segment {
    /// It in parts of `size` bytes, the last of which may be shorter.
    pub fn parts(self, size: usize) -> impl Iterator<Item = Self> {
        let end = self.offset + self.length;
        let offsets = (self.offset..end).step_by(size);
        offsets.map(move |offset| Self {
            offset,
            length: (end - offset).min(size as u64),
        })
    }
}

/// The data of the first `size` bytes of `file`, once a write that is under way has ended; `check` is asked meanwhile.
pub fn segments(file: BorrowedFd<'_>, size: u64, check: &Check) -> Result<Vec<Segment>> {
    read_at(file, &mut [0], 0)?;
    data_of(file, size, check)
}

/// The data of the first `size` bytes of `file`, to which nobody writes.
pub fn data_of(file: BorrowedFd<'_>, size: u64, check: &Check) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    let mut position = 0;
    while position < size {
        if segments.len() % SEGMENTS_AT_ONCE == 0 {
            check()?;
        }
        let offset = match rustix::fs::seek(file, SeekFrom::Data(position)) {
            Ok(offset) if offset < size => offset,
            Ok(_) | Err(Errno::NXIO) => break,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        let end = match rustix::fs::seek(file, SeekFrom::Hole(offset)) {
            Ok(end) => end.min(size),
            // Truncated since; what is left is read and found short.
            Err(Errno::NXIO) => size,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        segments.push(Segment {
            offset,
            length: end - offset,
        });
        position = end;
    }
    Ok(segments)
}

/// Fills `buffer` from `offset`; returns fewer bytes only where the file ends.
pub fn read_at(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Writes all of `bytes` at `offset`.
pub fn write_at(file: BorrowedFd<'_>, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(file, bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Copies one segment inside the kernel, sharing extents where the file system can; `check` is asked between pieces.
/// Returns the bytes copied, fewer only where the source ends.
pub fn copy_segment(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    segment: Segment,
    check: &Check,
) -> Result<u64> {
    copy_pieces(segment, check, |piece| copy_piece(from, to, piece))
}

/// The same without sharing: that waits until the source's data is on disk.
pub fn copy_through_memory(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    segment: Segment,
    check: &Check,
) -> Result<u64> {
    copy_pieces(segment, check, |piece| copy_in_memory(from, to, piece))
}

fn copy_pieces(
    segment: Segment,
    check: &Check,
    copy: impl Fn(Segment) -> io::Result<u64>,
) -> Result<u64> {
    let mut copied = 0;
    while copied < segment.length {
        check()?;
        let count = copy(Segment {
            offset: segment.offset + copied,
            length: PIECE.min(segment.length - copied),
        })?;
        if count == 0 {
            break;
        }
        copied += count;
    }
    Ok(copied)
}

/// What came of sharing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    Done,
    /// This file's content cannot be shared: on btrfs, that of one without checksums (`chattr +C`).
    NotOfThis,
    /// The file system shares nothing.
    OfNone,
}

/// Has `to` share the whole content of `from`, as it is then on disk (`ioctl_ficlone(2)`).
pub fn share_content(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<Sharing> {
    match rustix::fs::ioctl_ficlone(to, from) {
        Ok(()) => Ok(Sharing::Done),
        Err(Errno::INVAL | Errno::PERM | Errno::TXTBSY) => Ok(Sharing::NotOfThis),
        Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::NOTTY) => Ok(Sharing::OfNone),
        Err(error) => Err(error.into()),
    }
}

/// Makes a hole.
pub fn punch(file: BorrowedFd<'_>, hole: Segment) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match rustix::fs::fallocate(file, flags, hole.offset, hole.length) {
        Err(Errno::OPNOTSUPP) => fill_with_zeros(file, hole),
        punched => Ok(punched?),
    }
}

fn fill_with_zeros(file: BorrowedFd<'_>, hole: Segment) -> io::Result<()> {
    let zeros = vec![0; usize::try_from(hole.length.min(PIECE)).unwrap_or(0)];
    let mut offset = hole.offset;
    while offset < hole.offset + hole.length {
        let length = (hole.offset + hole.length - offset).min(zeros.len() as u64);
        write_at(file, &zeros[..usize::try_from(length).unwrap_or(0)], offset)?;
        offset += length;
    }
    Ok(())
}

fn copy_piece(from: BorrowedFd<'_>, to: BorrowedFd<'_>, piece: Segment) -> io::Result<u64> {
    let (mut read, mut written) = (piece.offset, piece.offset);
    let wanted = usize::try_from(piece.length).unwrap_or(usize::MAX);
    match rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut written), wanted) {
        Ok(count) => Ok(count as u64),
        Err(Errno::INTR) => copy_piece(from, to, piece),
        Err(
            Errno::XDEV
            | Errno::INVAL
            | Errno::NOSYS
            | Errno::OPNOTSUPP
            | Errno::PERM
            // A file that the host swaps to.
            | Errno::TXTBSY
            // ZFS says so of what it has not written yet (openzfs/zfs issue 16958).
            | Errno::AGAIN,
        ) => copy_in_memory(from, to, piece),
        Err(error) => Err(error.into()),
    }
}

fn copy_in_memory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, piece: Segment) -> io::Result<u64> {
    let length = usize::try_from(piece.length).map_err(io::Error::other)?;
    let mut buffer = vec![0; length];
    let count = read_at(from, &mut buffer, piece.offset)?;
    write_at(to, &buffer[..count], piece.offset)?;
    Ok(count as u64)
}
