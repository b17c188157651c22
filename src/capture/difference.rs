//! Where a file differs from its copy, found without copying it: what both have in common need not be written again.
//!
//! Both are read, on all processors, and never mapped: a file that somebody truncates cannot hurt a read.

use std::io;
use std::os::fd::BorrowedFd;

use anyhow::Result;

use crate::system::check::Check;
use crate::system::file::{self, Segment, read_at};
use crate::system::workers;

/// Fits a processor's own cache, twice.
const BLOCK: usize = 128 << 10;
/// What is found to differ is no smaller.
const GRANULE: usize = 4096;
/// Blocks that one thread compares before it takes more.
const BLOCKS_AT_ONCE: usize = 16;

/// What must be done to a copy.
pub struct Difference {
    /// What must be written over it.
    pub data: Vec<Segment>,
    /// Where it must have holes.
    pub holes: Vec<Segment>,
}

/// Compares the data of the first `size` bytes of `file`, which are `data`, with `copy`.
pub fn between(
    file: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    data: &[Segment],
    size: u64,
    check: &Check,
) -> Result<Difference> {
    let blocks = data.iter().flat_map(|segment| segment.parts(BLOCK));
    let blocks: Vec<Segment> = blocks.collect();
    let found = workers::map(blocks.len(), BLOCKS_AT_ONCE, |range| {
        check()?;
        let mut buffers = [vec![0; BLOCK], vec![0; BLOCK]];
        let mut found = Vec::new();
        for block in &blocks[range] {
            compare(file, copy, *block, &mut buffers, &mut found)?;
        }
        Ok(found)
    })?;
    Ok(Difference {
        data: joined(found.into_iter().flatten()),
        holes: without(&file::data_of(copy, size, check)?, data),
    })
}

fn compare(
    file: BorrowedFd<'_>,
    copy: BorrowedFd<'_>,
    block: Segment,
    [one, other]: &mut [Vec<u8>; 2],
    found: &mut Vec<Segment>,
) -> io::Result<()> {
    // No block is longer than the buffers.
    let length = usize::try_from(block.length).unwrap_or(BLOCK).min(BLOCK);
    let (one, other) = (&mut one[..length], &mut other[..length]);
    for (from, buffer) in [(file, &mut *one), (copy, &mut *other)] {
        let count = read_at(from, buffer, block.offset)?;
        // Past its end there is nothing, which a hole is too.
        buffer[count..].fill(0);
    }
    if one == other {
        return Ok(());
    }
    let granules = one.chunks(GRANULE).zip(other.chunks(GRANULE));
    for (position, (one, other)) in granules.enumerate() {
        if one != other {
            found.push(Segment {
                offset: block.offset + (position * GRANULE) as u64,
                length: one.len() as u64,
            });
        }
    }
    Ok(())
}

/// Neighbours become one.
fn joined(segments: impl Iterator<Item = Segment>) -> Vec<Segment> {
    let mut joined: Vec<Segment> = Vec::new();
    for segment in segments {
        match joined.last_mut() {
            Some(last) if last.offset + last.length == segment.offset => {
                last.length += segment.length;
            }
            _ => joined.push(segment),
        }
    }
    joined
}

/// What of `segments` is in none of `others`; both are in order.
fn without(segments: &[Segment], others: &[Segment]) -> Vec<Segment> {
    let mut rest = Vec::new();
    let mut others = others.iter().peekable();
    for segment in segments {
        let (mut offset, end) = (segment.offset, segment.offset + segment.length);
        while let Some(other) = others.peek() {
            if other.offset >= end {
                break;
            }
            if other.offset > offset {
                rest.push(Segment {
                    offset,
                    length: other.offset - offset,
                });
            }
            offset = offset.max(other.offset + other.length);
            if offset > end {
                break;
            }
            others.next();
        }
        if offset < end {
            rest.push(Segment {
                offset,
                length: end - offset,
            });
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(of: &[(u64, u64)]) -> Vec<Segment> {
        let made = of.iter().map(|&(offset, end)| Segment {
            offset,
            length: end - offset,
        });
        made.collect()
    }

    #[test]
    fn what_is_data_in_the_copy_alone_becomes_a_hole() {
        for (copy, file, holes) in [
            (&[(0, 10)][..], &[][..], &[(0, 10)][..]),
            (&[(0, 10)], &[(0, 10)], &[]),
            (&[(0, 10)], &[(2, 4), (6, 8)], &[(0, 2), (4, 6), (8, 10)]),
            (&[(0, 4), (6, 10)], &[(2, 8)], &[(0, 2), (8, 10)]),
            (&[(0, 2), (4, 6), (8, 9)], &[(0, 20)], &[]),
            (&[(5, 10)], &[(0, 5), (10, 12)], &[(5, 10)]),
        ] {
            let found = without(&segments(copy), &segments(file));
            assert_eq!(found, segments(holes), "{copy:?} without {file:?}");
        }
    }

    #[test]
    fn neighbours_are_joined() {
        let parts = segments(&[(0, 4), (4, 8), (12, 16)]);
        assert_eq!(joined(parts.into_iter()), segments(&[(0, 8), (12, 16)]));
    }
}
