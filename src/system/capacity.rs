//! How much a file system holds, and has room for (statvfs(3)), and how much memory is left.

use std::fs;

use anyhow::{Context, Result};
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

/// What can be had without swapping, in bytes (`proc_meminfo(5)`).
pub fn available_memory() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("reading /proc/meminfo")?;
    let mut lines = text.lines();
    let kibibytes = lines.find_map(|line| line.strip_prefix("MemAvailable:")?.strip_suffix("kB"));
    let kibibytes: u64 = kibibytes
        .and_then(|number| number.trim().parse().ok())
        .context("/proc/meminfo has no MemAvailable")?;
    Ok(kibibytes << 10)
}
