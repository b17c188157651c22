//! The clone: the prepared snapshot's upper directory, made into what applying the layer would make.
//!
//! Nobody else can touch it. It has the container's entries with whole-second times, of extended attributes only file
//! capabilities and overlayfs's opaque mark, and no sockets. Directories get their attributes last, in `finish`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, linkat, symlinkat, unlinkat};

use super::create;
use super::material::{Material, ReadEntry};
use super::scan::Scan;
use super::signature::Kind;
use crate::system::text::printable;
use crate::system::tree::Tree;

/// A directory tree that is being made.
pub struct Replica {
    tree: Tree,
    parent: Option<(Vec<u8>, OwnedFd)>,
}

impl Replica {
    /// `upper` is empty and ours.
    pub fn new(upper: &Path) -> Result<Self> {
        let tree = Tree::open(upper).with_context(|| format!("opening {}", upper.display()))?;
        Ok(Self { tree, parent: None })
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// Removes entries of `scan`; children come before their directories.
    pub fn remove(&mut self, scan: &Scan, entries: &[usize]) -> Result<()> {
        for &index in entries {
            let node = scan.node(index);
            let flags = match node.kind {
                Kind::Directory => AtFlags::REMOVEDIR,
                _ => AtFlags::empty(),
            };
            let path = scan.path(scan.parent(index));
            let removed = self
                .enter(&path)
                .and_then(|parent| Ok(unlinkat(parent, OsStr::from_bytes(&node.name), flags)?));
            ignore_absent(removed).with_context(|| describe("removing", scan, index))?;
        }
        // A directory may be made anew under the path that is held open.
        self.parent = None;
        Ok(())
    }

    /// Makes what was read of `scan`; `memory` holds its contents.
    pub fn write(&mut self, scan: &Scan, entries: &[ReadEntry], memory: &[u8]) -> Result<()> {
        for entry in entries {
            self.write_entry(scan, entry, memory)
                .with_context(|| describe("cloning", scan, entry.index))?;
        }
        Ok(())
    }

    fn write_entry(&mut self, scan: &Scan, entry: &ReadEntry, memory: &[u8]) -> Result<()> {
        let node = scan.node(entry.index);
        if let Material::Link(first) = entry.material {
            return self.write_link(scan, entry.index, first);
        }
        let path = scan.path(scan.parent(entry.index));
        let Some(parent) = self.enter_if_present(&path)? else {
            return Ok(());
        };
        let name = OsStr::from_bytes(&node.name);
        match &entry.material {
            Material::Directory { opaque, capability } => {
                create::make_directory(parent, name, *opaque, capability.as_deref())?;
            }
            Material::File(file) => create::make_file(parent, name, &node.signature, file, memory)?,
            Material::Symlink { target, capability } => {
                symlinkat(OsStr::from_bytes(target), parent, name)?;
                create::set_attributes_at(parent, name, &node.signature, capability.as_deref())?;
            }
            Material::Whiteout => create::make_node(parent, name, nix::libc::S_IFCHR, (0, 0))?,
            Material::Special { capability } => {
                create::make_node(parent, name, node.signature.mode, node.signature.node)?;
                create::set_attributes_at(parent, name, &node.signature, capability.as_deref())?;
            }
            Material::Link(_) | Material::Vanished => {}
        }
        Ok(())
    }

    fn write_link(&mut self, scan: &Scan, index: usize, first: usize) -> Result<()> {
        let source = scan.path(scan.parent(first));
        let Some(source) = self
            .enter_if_present(&source)?
            .map(|fd| fd.try_clone_to_owned())
        else {
            return Ok(());
        };
        let target = scan.path(scan.parent(index));
        let Some(target) = self.enter_if_present(&target)? else {
            return Ok(());
        };
        let linked = linkat(
            &source?,
            OsStr::from_bytes(&scan.node(first).name),
            target,
            OsStr::from_bytes(&scan.node(index).name),
            AtFlags::empty(),
        );
        // Its directory vanished, and will be made again with all that is in it.
        ignore_absent(linked.map_err(Into::into)).map_err(Into::into)
    }

    /// Gives every directory of `scan` its attributes, now that nothing is made in them any more.
    pub fn finish(&mut self, scan: &Scan) -> Result<()> {
        for index in scan.entries() {
            let node = scan.node(index);
            if node.kind == Kind::Directory {
                let path = scan.path(index);
                let set = self
                    .tree
                    .directory(&path)
                    .and_then(|directory| create::set_directory_attributes(&directory, node));
                ignore_absent(set).with_context(|| describe("cloning", scan, index))?;
            }
        }
        Ok(())
    }

    fn enter_if_present(&mut self, path: &[u8]) -> io::Result<Option<BorrowedFd<'_>>> {
        match self.enter(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The directory `path`, kept open for its next entry.
    fn enter(&mut self, path: &[u8]) -> io::Result<BorrowedFd<'_>> {
        let held = self.parent.take().filter(|(held, _)| held == path);
        let open = match held {
            Some(open) => open,
            None => (path.to_vec(), self.tree.directory(path)?),
        };
        Ok(self.parent.insert(open).1.as_fd())
    }
}

fn describe(doing: &str, scan: &Scan, index: usize) -> String {
    format!("{doing} /{}", printable(&scan.path(index)))
}

fn ignore_absent(answer: io::Result<()>) -> io::Result<()> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        answer => answer,
    }
}
