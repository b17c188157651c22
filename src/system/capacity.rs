//! How much a file system holds, and has room for (statvfs(3)).

use rustix::fs::StatVfs;

/// In bytes.
pub struct Capacity {
    pub size: u64,
    pub free: u64,
}

impl Capacity {
    /// `None` where there is no limit: such a file system in memory tells no size (tmpfs(5), `size`).
    pub fn of(stat: &StatVfs) -> Option<Self> {
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        (stat.f_blocks > 0).then(|| Self {
            size: bytes(stat.f_blocks),
            free: bytes(stat.f_bavail),
        })
    }
}

/// How many inodes can still be made; `None` where there is no limit, as btrfs tells by having none.
pub fn free_inodes(stat: &StatVfs) -> Option<u64> {
    (stat.f_files > 0).then_some(stat.f_favail)
}
