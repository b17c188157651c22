//! The directory that was opened last, kept for its next entry: most entries come one directory after the other.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::scan::Scan;
use crate::system::tree::Tree;

#[derive(Default)]
pub struct OpenDirectory {
    held: Option<(usize, OwnedFd)>,
}

impl OpenDirectory {
    /// The directory with this index in `scan`, beneath `tree`.
    pub fn enter(&mut self, tree: &Tree, scan: &Scan, index: usize) -> io::Result<BorrowedFd<'_>> {
        let held = self.held.take().filter(|(held, _)| *held == index);
        let open = match held {
            Some(open) => open,
            None => (index, tree.directory(&scan.path(index))?),
        };
        Ok(self.held.insert(open).1.as_fd())
    }

    /// To be called when a path may lead to another directory now.
    pub fn forget(&mut self) {
        self.held = None;
    }
}
