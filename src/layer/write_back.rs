//! Writing a tree back while it is read: what is read of large files is given to the disk right away, and once the last
//! of them has been read, a syncfs has the rest beside what is still to be read.

use anyhow::Result;

use crate::capture::scan::{Node, Scan};
use crate::capture::signature::Kind;
use crate::system::cache;
use crate::system::sync::FilesystemSync;
use crate::system::tree::Tree;

pub struct WriteBack<'a> {
    tree: &'a Tree,
    /// How many of the large files are still to be read.
    large: usize,
    rest: Option<FilesystemSync>,
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
    pub fn rest(self) -> Result<FilesystemSync> {
        match self.rest {
            Some(rest) => Ok(rest),
            None => FilesystemSync::start(&self.tree.root()),
        }
    }

    fn start_when_due(&mut self) -> Result<()> {
        if self.large == 0 && self.rest.is_none() {
            self.rest = Some(FilesystemSync::start(&self.tree.root())?);
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

    use harness::{Disk, FileSystem, wait_until};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Goes through a directory with a small file and perhaps a large one, of which nothing is on disk yet; `look` is told
    /// after each step whether the small one is.
    fn read_through(has_large: bool, mut look: impl FnMut(&dyn Fn() -> bool, &str)) {
        let disk = Disk::new(FileSystem::Ext4).unwrap();
        let path = |name| disk.path().join(name);
        if has_large {
            let length = usize::try_from(cache::PORTION).unwrap();
            fs::write(path("large"), vec![7; length]).unwrap();
        }
        fs::write(path("small"), [7; 10_000]).unwrap();
        let small = File::open(path("small")).unwrap();
        if cache::unwritten_pages(small.as_fd()).is_none() {
            println!("not tried: the kernel does not tell what is written");
            return;
        }
        let is_written = || cache::unwritten_pages(small.as_fd()) == Some(0);
        let tree = Tree::open(disk.path()).unwrap();
        let scan = Scan::of(&tree, &|| Ok(())).unwrap();
        let mut write_back = WriteBack::of(&tree, &scan).unwrap();
        look(&is_written, "");
        for name in ["small", "large"]
            .into_iter()
            .take(1 + usize::from(has_large))
        {
            write_back.has_read(scan.node(scan.find(name))).unwrap();
            look(&is_written, name);
        }
        write_back.rest().unwrap().wait().unwrap();
        assert!(is_written());
    }

    fn wait_for(is_written: &dyn Fn() -> bool) {
        wait_until("the file on disk", PATIENCE, || {
            Ok(is_written().then_some(()))
        })
        .unwrap();
    }

    #[test]
    fn small_files_are_written_back_once_the_large_ones_have_been_read() {
        read_through(true, |is_written, name| match name {
            "large" => wait_for(is_written),
            _ => assert!(!is_written()),
        });
    }

    #[test]
    fn without_large_files_all_is_written_back_from_the_beginning_on() {
        read_through(false, |is_written, _| wait_for(is_written));
    }
}
