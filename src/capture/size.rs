//! The size of a layer before it is compressed. Holes are zeros in it, so a sparse file may make it endless.

use anyhow::{Context, Result, ensure};

use super::scan::Scan;
use crate::system::capacity::Capacity;
use crate::system::text::printable;
use crate::system::tree::Tree;

/// Beyond this, in sizes of the disk that the tree is on, no compression by the file system and no sharing of extents
/// explains it: those are holes that somebody made.
const MOST_DISKS: u64 = 16;

/// # Errors
/// The files are so large, by what they say, that nobody could unpack the layer.
pub fn check(tree: &Tree, scan: &Scan) -> Result<()> {
    let stat = rustix::fs::fstatvfs(tree.root()).context("asking for the size of the disk")?;
    let Some(Capacity { size: disk, .. }) = Capacity::of(&stat) else {
        return Ok(());
    };
    let size = |index: usize| scan.node(index).signature.size();
    let (mut all, mut largest) = (0_u64, None);
    for index in scan.files() {
        all = all.saturating_add(size(index));
        largest = largest
            .filter(|other| size(*other) >= size(index))
            .or(Some(index));
    }
    let name = largest.map(|index| printable(&scan.path(index)));
    ensure!(
        all / MOST_DISKS <= disk,
        "the container's files claim {} GB, on a disk of {} GB: a layer holds the holes of sparse files as zeros, and nobody \
         could unpack it; remove or shorten them (the largest is /{}), or keep them in a volume",
        all / 1_000_000_000,
        disk / 1_000_000_000,
        name.unwrap_or_default()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use harness::{Disk, FileSystem};

    use super::*;

    #[test]
    fn a_sparse_file_that_nobody_could_unpack_is_named() {
        let disk = Disk::new(FileSystem::Xfs).unwrap();
        let tree = Tree::open(disk.path()).unwrap();
        let check = || check(&tree, &Scan::of(&tree).unwrap());
        let file = File::create(disk.path().join("sparse")).unwrap();
        file.write_all_at(b"data", 5 << 20).unwrap();
        check().unwrap();
        file.set_len(1 << 62).unwrap();
        let refusal = check().err().unwrap().to_string();
        assert!(refusal.contains("the largest is /sparse"), "{refusal}");
    }
}
