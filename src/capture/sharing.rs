//! When a large file's content is shared with the clone, where the file system can do that, rather than read: neither what
//! has to be written first nor the number of extents may take longer than reading would.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use anyhow::Result;
use nix::sys::statfs::{XFS_SUPER_MAGIC, fstatfs};

use crate::system::check::Check;
use crate::system::extents;
use crate::system::file::Segment;

/// Sharing waits until all of a file is on disk, asks nobody meanwhile, and keeps others from writing to it. So much is
/// waited for; under a freeze more where reading would take longer, but no more than a slow disk writes in the time that the
/// freeze may last.
pub const LITTLE_UNWRITTEN: u64 = 16 << 20;
/// So many are shared at once, whoever waits.
pub const FEW_EXTENTS: u64 = 1024;
/// In bytes.
const WRITTEN_PER_MILLISECOND: u64 = 64 << 10;
/// Bytes of a file that are compared in memory while a disk writes one (1 GB in 145 ms, `tests/bench w5`; 100 MB/s).
const COMPARED_PER_WRITTEN: u64 = 64;
/// Bytes that a disk reads meanwhile: it does that faster, and ahead.
const READ_PER_WRITTEN: u64 = 2;
/// Bytes that a disk writes while xfs shares one more extent: 20 to 70 µs, the longest where it maps them back (rmapbt).
const WRITTEN_PER_EXTENT: u64 = 4 << 10;

/// The bytes that may have to be written before a file is shared under a freeze of this length.
pub fn most_unwritten(hold: Duration) -> u64 {
    LITTLE_UNWRITTEN.max(written_within(hold))
}

/// In bytes, by a slow disk.
fn written_within(time: Duration) -> u64 {
    let milliseconds = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    milliseconds.saturating_mul(WRITTEN_PER_MILLISECOND)
}

/// The bytes that may have to be written before so much data is shared of which so much would have to be read from disk.
pub fn worth_waiting_for(length: u64, on_disk: u64) -> u64 {
    LITTLE_UNWRITTEN.max(written_meanwhile(length, on_disk))
}

/// The extents that are shared sooner than that is read.
pub fn worth_sharing(length: u64, on_disk: u64) -> u64 {
    FEW_EXTENTS.max(written_meanwhile(length, on_disk) / WRITTEN_PER_EXTENT)
}

fn written_meanwhile(length: u64, on_disk: u64) -> u64 {
    length / COMPARED_PER_WRITTEN + on_disk / READ_PER_WRITTEN
}

/// Whether `data` of `file` lies in more extents than `most`, and each takes its time: btrfs shares them much faster.
pub fn takes_long(
    file: BorrowedFd<'_>,
    data: &[Segment],
    most: u64,
    check: &Check,
) -> Result<bool> {
    let file_system = fstatfs(file).map_err(io::Error::from)?.filesystem_type();
    Ok(file_system == XFS_SUPER_MAGIC && extents::are_more_than(file, data, most, check)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_waited_for_than_is_written_within_a_freeze() {
        assert_eq!(written_within(Duration::from_secs(4)), 250 << 20);
        assert_eq!(written_within(Duration::MAX), u64::MAX);
    }

    #[test]
    fn more_is_waited_for_where_more_would_be_read() {
        assert_eq!(worth_waiting_for(1 << 30, 0), LITTLE_UNWRITTEN);
        assert_eq!(worth_waiting_for(10 << 30, 0), 10 * LITTLE_UNWRITTEN);
        assert_eq!(
            worth_waiting_for(1 << 30, 1 << 30),
            (512 << 20) + LITTLE_UNWRITTEN
        );
    }

    #[test]
    fn extents_are_shared_where_more_would_be_read() {
        assert_eq!(worth_sharing(1 << 20, 0), FEW_EXTENTS);
        assert_eq!(worth_sharing(1 << 30, 0), 4 * FEW_EXTENTS);
        assert_eq!(worth_sharing(1 << 30, 1 << 30), 132 * FEW_EXTENTS);
    }
}
