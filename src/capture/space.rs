//! Free space: the clone fills the very disk that the container writes to, so a reserve is left or nothing is begun.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use nix::sys::statvfs::statvfs;

/// What must stay free on the container's disk: a twentieth of it, at most a gibibyte.
const MOST_RESERVE: u64 = 1 << 30;

/// The clone, and a layer of at most its size, go to the very disk that the container writes to.
pub fn check(upper: &Path, size: u64) -> Result<()> {
    let stat = statvfs(upper)
        .with_context(|| format!("asking for the free space of {}", upper.display()))?;
    let block = stat.fragment_size();
    let free = stat.blocks_available() * block;
    let reserve = (stat.blocks() * block / 20).min(MOST_RESERVE);
    let needed = size.saturating_mul(2).saturating_add(reserve);
    ensure!(
        free >= needed,
        "too little disk space: the commit needs {} MB (its copy, its layer and a reserve), {} has {} MB free",
        needed.div_ceil(1_000_000),
        upper.display(),
        free / 1_000_000
    );
    Ok(())
}
