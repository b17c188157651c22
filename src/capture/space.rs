//! Free space: the clone fills the very disk that the container writes to, so a reserve is left, or nothing is begun and
//! nothing goes on. It takes that disk's inodes as well.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::fs::{StatVfs, statvfs};

use super::scan::Scan;
use super::signature::Kind;
use crate::settings::Reserve;
use crate::system::capacity::{Capacity, free_inodes};

/// Unless somebody says otherwise, this share of the disk stays free, but no more than so many bytes.
const PERCENT_RESERVED: u64 = 5;
const MOST_RESERVED: u64 = 1 << 30;

/// What may have been going on when the room went.
const COPYING: &str = "the container was copied";

/// What must stay free while the clone grows, and once it is complete.
pub struct Room {
    upper: PathBuf,
    /// In bytes, to stay free.
    reserve: u64,
    /// Of the layer's contents, at most.
    size: u64,
}

impl Room {
    /// To be asked while the clone grows: until it replaces something, what is copied again is there twice.
    ///
    /// # Errors
    /// Others have filled the disk meanwhile, or the container has grown.
    pub fn check(&self) -> Result<()> {
        self.ensure_free(self.reserve, "a reserve", COPYING)
    }

    /// To be asked before the layer is written.
    ///
    /// # Errors
    /// As above.
    pub fn check_for_layer(&self) -> Result<()> {
        let needed = self.size.saturating_add(self.reserve);
        self.ensure_free(needed, "a layer and a reserve", COPYING)
    }

    /// To be asked while the layer is written: names, links and holes take room in it as well. `spare` bytes are only taken
    /// until it is complete.
    ///
    /// # Errors
    /// As above.
    pub fn check_beside_layer(&self, spare: u64) -> Result<()> {
        let reserve = self.reserve.saturating_sub(spare);
        self.ensure_free(reserve, "a reserve", "the layer was written")
    }

    /// `what` is what needs so many bytes. They may have gone while what `meanwhile` says.
    fn ensure_free(&self, needed: u64, what: &str, meanwhile: &str) -> Result<()> {
        let Some(Capacity { free, .. }) = Capacity::of(&stat(&self.upper)?) else {
            return Ok(());
        };
        ensure!(
            free >= needed,
            "too little disk space: it went while {meanwhile}; {} MB have to be free ({what}, see \
             FREEZEFRAME_RESERVE), {} has {} MB",
            needed.div_ceil(1_000_000),
            disk(&self.upper),
            free / 1_000_000
        );
        Ok(())
    }
}

/// There is no room for a commit.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TooLittle(String);

/// The clone of what was scanned, with contents of `size` bytes, and a layer of at most that size go to the very disk that
/// the container writes to.
///
/// # Errors
/// `TooLittle`: they would not fit.
pub fn check(upper: &Path, scan: &Scan, size: u64, reserve: Reserve) -> Result<Room> {
    let stat = stat(upper)?;
    check_inodes(upper, inodes(scan), free_inodes(&stat))?;
    let mut room = Room {
        upper: upper.to_owned(),
        reserve: 0,
        size,
    };
    let Some(Capacity { size: whole, free }) = Capacity::of(&stat) else {
        return Ok(room);
    };
    room.reserve = bytes(reserve, whole);
    let needed = size.saturating_mul(2).saturating_add(room.reserve);
    let refusal = || {
        TooLittle(format!(
            "too little disk space: the commit needs {} MB (its copy, its layer and a reserve, see FREEZEFRAME_RESERVE), {} \
             has {} MB free",
            needed.div_ceil(1_000_000),
            disk(upper),
            free / 1_000_000
        ))
    };
    ensure!(free >= needed, refusal());
    Ok(room)
}

/// How the disk is named to people: the snapshot's own directory is gone by the time they look.
fn disk(upper: &Path) -> std::path::Display<'_> {
    let snapshots = upper.ancestors().nth(2);
    snapshots.unwrap_or(upper).display()
}

fn stat(upper: &Path) -> Result<StatVfs> {
    statvfs(upper).with_context(|| format!("asking for the free space of {}", upper.display()))
}

/// Those that a clone takes.
fn inodes(scan: &Scan) -> u64 {
    let others = scan
        .entries()
        .filter(|index| scan.node(*index).kind() != Kind::File);
    (others.count() + scan.files().count()) as u64
}

/// A tenth of the inodes that are free stays so. `None` where there is no limit.
fn check_inodes(upper: &Path, needed: u64, free: Option<u64>) -> Result<()> {
    let is_enough = free.is_none_or(|free| needed <= free - free / 10);
    let refusal = || {
        TooLittle(format!(
            "too few inodes: the commit needs {needed}, one for each file and directory of its copy, and leaves a tenth of \
             what is free; {} has {} free",
            disk(upper),
            free.unwrap_or_default()
        ))
    };
    ensure!(is_enough, refusal());
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
    use harness::{Disk, FileSystem};

    use super::*;
    use crate::system::tree::Tree;

    const SLACK: u64 = 1 << 20;

    #[test]
    fn room_is_wanted_for_a_copy_a_layer_and_a_reserve() {
        let disk = Disk::new(FileSystem::Ext4).unwrap();
        let upper = disk.path();
        let scan = Scan::of(&Tree::open(upper).unwrap()).unwrap();
        let free = Capacity::of(&stat(upper).unwrap()).unwrap().free;
        let size = free / 4;
        let check = |reserve| check(upper, &scan, size, Reserve::Bytes(reserve));
        check(free - 2 * size - SLACK).unwrap();
        let refusal = check(free - 2 * size + SLACK).err().unwrap();
        assert!(refusal.is::<TooLittle>(), "{refusal:#}");
        let room = |reserve| Room {
            upper: upper.to_owned(),
            reserve,
            size,
        };
        room(free - size - SLACK).check_for_layer().unwrap();
        let lacking = room(free - size + SLACK);
        let refusal = lacking.check_for_layer().unwrap_err().to_string();
        assert!(refusal.contains("a layer and a reserve"), "{refusal}");
        lacking.check().unwrap();
    }

    #[test]
    fn an_inode_for_each_entry_and_a_tenth_of_the_rest_are_wanted() {
        let check = |needed, free| check_inodes(Path::new("/upper"), needed, free);
        check(90, Some(100)).unwrap();
        check(1 << 40, None).unwrap();
        let refusal = check(91, Some(100)).unwrap_err().to_string();
        assert!(refusal.contains("/upper has 100 free"), "{refusal}");
    }

    #[test]
    fn a_reserve_is_a_size_or_a_share_of_the_disk() {
        assert_eq!(bytes(Reserve::Unsaid, 2_000), 100);
        assert_eq!(bytes(Reserve::Unsaid, 1 << 40), MOST_RESERVED);
        assert_eq!(bytes(Reserve::Percent(20), 1_000), 200);
        assert_eq!(bytes(Reserve::Bytes(7), 1_000), 7);
    }
}
