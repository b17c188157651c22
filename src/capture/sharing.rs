//! When a large file's content is shared with the clone, where the file system can do that, rather than read: neither what
//! has to be written first nor the number of extents may take longer than reading would.

use std::time::Duration;

/// Sharing waits until all of a file is on disk, asks nobody meanwhile, and keeps others from writing to it. So much is
/// waited for; under a freeze more where reading would take longer, but no more than a slow disk writes in the time that the
/// freeze may last.
pub const LITTLE_UNWRITTEN: u64 = 16 << 20;
/// In bytes.
const WRITTEN_PER_MILLISECOND: u64 = 64 << 10;
/// Bytes of a file that are compared in memory while a disk writes one (1 GB in 145 ms, `tests/bench w5`; 100 MB/s).
const COMPARED_PER_WRITTEN: u64 = 64;
/// Bytes that a disk reads meanwhile: it does that faster, and ahead.
const READ_PER_WRITTEN: u64 = 2;

/// Bytes that a disk writes while one more extent is shared: xfs takes 30 to 70 µs for that, whatever its length.
const WRITTEN_PER_EXTENT: u64 = 8 << 10;

/// The extents that are shared in the time in which so many bytes are written.
pub fn extents_within(written: u64) -> u64 {
    written / WRITTEN_PER_EXTENT
}

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
    LITTLE_UNWRITTEN.max(length / COMPARED_PER_WRITTEN + on_disk / READ_PER_WRITTEN)
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
}
