//! Free space: the clone fills the very disk that the container writes to, so a reserve is left or nothing is begun.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::statvfs;

use crate::settings::Reserve;
use crate::system::capacity::Capacity;

/// Unless somebody says otherwise, this share of the disk stays free, but no more than so many bytes.
const PERCENT_RESERVED: u64 = 5;
const MOST_RESERVED: u64 = 1 << 30;

/// The clone, and a layer of at most its size, go to the very disk that the container writes to.
pub fn check(upper: &Path, size: u64, reserve: Reserve) -> Result<()> {
    let stat = statvfs(upper)
        .with_context(|| format!("asking for the free space of {}", upper.display()))?;
    let Some(Capacity { size: disk, free }) = Capacity::of(&stat) else {
        return Ok(());
    };
    let reserve = bytes(reserve, disk);
    let needed = size.saturating_mul(2).saturating_add(reserve);
    ensure!(
        free >= needed,
        "too little disk space: the commit needs {} MB (its copy, its layer and a reserve, see FREEZEFRAME_RESERVE), {} has \
         {} MB free",
        needed.div_ceil(1_000_000),
        upper.display(),
        free / 1_000_000
    );
    Ok(())
}

/// The reserve on a disk of `size` bytes.
fn bytes(reserve: Reserve, size: u64) -> u64 {
    let share = |percent: u64| size / 100 * percent;
    match reserve {
        Reserve::Unsaid => share(PERCENT_RESERVED).min(MOST_RESERVED),
        Reserve::Percent(percent) => share(u64::from(percent)),
        Reserve::Bytes(bytes) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_a_size_or_a_share_of_the_disk() {
        assert_eq!(bytes(Reserve::Unsaid, 2_000), 100);
        assert_eq!(bytes(Reserve::Unsaid, 1 << 40), MOST_RESERVED);
        assert_eq!(bytes(Reserve::Percent(20), 1_000), 200);
        assert_eq!(bytes(Reserve::Bytes(7), 1_000), 7);
    }
}
