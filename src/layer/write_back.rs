//! Writing a tree back while it is read: what is read of large files is given to the disk right away, and once the last
//! of them has been read, a syncfs has the rest beside what is still to be read.

use anyhow::Result;

use crate::capture::scan::{Node, Scan};
use crate::capture::signature::Kind;
use crate::system::cache;
use crate::system::sync::DiskSync;
use crate::system::tree::Tree;

pub struct WriteBack<'a> {
    tree: &'a Tree,
    /// How many of the large files are still to be read.
    large: usize,
    rest: Option<DiskSync>,
}

impl<'a> WriteBack<'a> {
    /// Of a tree in which nothing is changed any more, and all of which will be read.
    pub fn of(tree: &'a Tree, scan: &Scan) -> Result<Self> {
        let large = scan.nodes().iter().filter(|node| is_large(node)).count();
        let rest = None;
        let mut write_back = Self { tree, large, rest };
        write_back.start_when_due()?;
        Ok(write_back)
    }

    pub fn has_read(&mut self, node: &Node) -> Result<()> {
        self.large -= usize::from(is_large(node));
        self.start_when_due()
    }

    /// What all of the tree is on disk with, when it has ended.
    pub fn rest(self) -> Result<DiskSync> {
        match self.rest {
            Some(rest) => Ok(rest),
            None => DiskSync::of_file_system(&self.tree.root()),
        }
    }

    fn start_when_due(&mut self) -> Result<()> {
        if self.large == 0 && self.rest.is_none() {
            self.rest = Some(DiskSync::of_file_system(&self.tree.root())?);
        }
        Ok(())
    }
}

/// Less is not given to the disk by itself.
fn is_large(node: &Node) -> bool {
    node.kind() == Kind::File && node.signature.size() >= cache::PORTION
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use harness::{Disk, FileSystem, skipped, wait_until};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A disk with files of these names and lengths, of which nothing is written yet. `None` where the kernel does not tell
    /// what is.
    fn unwritten(files: &[(&str, u64)]) -> Option<Disk> {
        let disk = Disk::new(FileSystem::Ext4).unwrap();
        for &(name, length) in files {
            let content = vec![7; usize::try_from(length).unwrap()];
            fs::write(disk.path().join(name), content).unwrap();
        }
        let file = File::open(disk.path().join(files[0].0)).unwrap();
        if cache::unwritten(file.as_fd()).is_none() {
            skipped("the kernel does not tell what is written");
            return None;
        }
        Some(disk)
    }

    fn is_written(disk: &Disk, name: &str) -> bool {
        let file = File::open(disk.path().join(name)).unwrap();
        cache::unwritten(file.as_fd()) == Some(0)
    }

    fn wait_for(disk: &Disk, name: &str) {
        let written = || Ok(is_written(disk, name).then_some(()));
        wait_until("the file on disk", PATIENCE, written).unwrap();
    }

    #[test]
    fn small_files_are_written_back_once_the_large_ones_have_been_read() {
        let Some(disk) = unwritten(&[("large", cache::PORTION), ("small", 10_000)]) else {
            return;
        };
        let tree = Tree::open(disk.path()).unwrap();
        let scan = Scan::of(&tree).unwrap();
        let mut write_back = WriteBack::of(&tree, &scan).unwrap();
        assert!(!is_written(&disk, "small"));
        write_back.has_read(scan.node(scan.find("small"))).unwrap();
        assert!(!is_written(&disk, "small"));
        write_back.has_read(scan.node(scan.find("large"))).unwrap();
        wait_for(&disk, "small");
        write_back.rest().unwrap().wait().unwrap();
        assert!(is_written(&disk, "small"));
    }

    #[test]
    fn without_large_files_all_is_written_back_from_the_beginning_on() {
        let Some(disk) = unwritten(&[("small", 10_000)]) else {
            return;
        };
        let tree = Tree::open(disk.path()).unwrap();
        let scan = Scan::of(&tree).unwrap();
        let mut write_back = WriteBack::of(&tree, &scan).unwrap();
        wait_for(&disk, "small");
        write_back.has_read(scan.node(scan.find("small"))).unwrap();
        write_back.rest().unwrap().wait().unwrap();
        assert!(is_written(&disk, "small"));
    }
}
