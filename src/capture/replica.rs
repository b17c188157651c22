//! The clone: the prepared snapshot's upper directory, made into what applying the layer would make.
//!
//! Nobody else can touch it. It has the container's entries with whole-second times, of extended attributes only file
//! capabilities and overlayfs's opaque mark, and no sockets. Directories get their attributes last, in `finish`.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, CWD, linkat, renameat, symlinkat};

use super::create;
use super::material::{Material, ReadEntry};
use super::memory::Memory;
use super::open_directory::OpenDirectory;
use super::scan::Scan;
use super::signature::Kind;
use crate::plan::if_forbidden;
use crate::system::text::printable;
use crate::system::tree::{self, Tree};
use crate::system::workers;

/// Directories that one thread finishes before it takes more.
const DIRECTORIES_AT_ONCE: usize = 64;

/// A directory tree that is being made.
pub struct Replica {
    tree: Tree,
    parent: OpenDirectory,
}

impl Replica {
    /// `upper` is ours.
    pub fn new(upper: &Path) -> Result<Self> {
        let tree = Tree::open(upper).with_context(|| format!("opening {}", upper.display()))?;
        let parent = OpenDirectory::default();
        Ok(Self { tree, parent })
    }

    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    pub fn into_tree(self) -> Tree {
        self.tree
    }

    /// To be called when entries were removed: a path may lead to another directory now.
    pub fn forget_directory(&mut self) {
        self.parent.forget();
    }

    /// Opens what was made of a file.
    pub fn open(&mut self, scan: &Scan, index: usize) -> Result<OwnedFd> {
        let name = scan.name(index);
        self.enter(scan, scan.parent(index))
            .and_then(|parent| tree::open_own(parent, name))
            .with_context(|| describe("opening the copy of", scan, index))
    }

    /// Takes a file out, to `path`.
    pub fn take_out(&mut self, scan: &Scan, index: usize, path: &Path) -> Result<()> {
        let name = OsStr::from_bytes(scan.name(index));
        self.enter(scan, scan.parent(index))
            .and_then(|parent| Ok(renameat(parent, name, CWD, path)?))
            .with_context(|| describe("moving the copy of", scan, index))
    }

    /// Puts a file in, from `path`; `false` where its directory is not there.
    pub fn put_in(&mut self, scan: &Scan, index: usize, path: &Path) -> Result<bool> {
        let name = OsStr::from_bytes(scan.name(index));
        let moved = self
            .enter(scan, scan.parent(index))
            .and_then(|parent| Ok(renameat(CWD, path, parent, name)?));
        is_there(moved).with_context(|| describe("moving a copy to", scan, index))
    }

    /// Makes an entry, whose contents `memory` holds; `false` where there was nothing to make, or nowhere to make it.
    pub fn write(&mut self, scan: &Scan, entry: &ReadEntry, memory: &Memory) -> Result<bool> {
        let made = match entry.material {
            Material::Link(first) => self.link(scan, entry.index, first),
            _ => self.make(scan, entry, memory),
        };
        made.with_context(|| describe("cloning", scan, entry.index))
            .map_err(if_forbidden)
    }

    fn make(&mut self, scan: &Scan, entry: &ReadEntry, memory: &Memory) -> Result<bool> {
        let signature = &scan.node(entry.index).signature;
        let name = OsStr::from_bytes(scan.name(entry.index));
        let Some(parent) = self.enter_if_present(scan, scan.parent(entry.index))? else {
            return Ok(false);
        };
        match &entry.material {
            Material::Directory { opaque, capability } => {
                create::make_directory(parent, name, *opaque, capability.as_deref())?;
            }
            Material::File(file) => create::make_file(parent, name, signature, file, memory)?,
            Material::Symlink { target, capability } => {
                symlinkat(OsStr::from_bytes(target), parent, name)?;
                create::set_attributes_at(parent, name, signature, capability.as_deref())?;
            }
            Material::Whiteout => create::make_whiteout(parent, name)?,
            Material::Special { capability } => {
                create::make_node(parent, name, signature.mode(), signature.node())?;
                create::set_attributes_at(parent, name, signature, capability.as_deref())?;
            }
            Material::Link(_) | Material::Vanished => return Ok(false),
        }
        Ok(true)
    }

    fn link(&mut self, scan: &Scan, index: usize, first: usize) -> Result<bool> {
        let source = self.enter_if_present(scan, scan.parent(first))?;
        let Some(source) = source.map(|open| open.try_clone_to_owned()) else {
            return Ok(false);
        };
        let Some(target) = self.enter_if_present(scan, scan.parent(index))? else {
            return Ok(false);
        };
        let linked = linkat(
            &source?,
            OsStr::from_bytes(scan.name(first)),
            target,
            OsStr::from_bytes(scan.name(index)),
            AtFlags::empty(),
        );
        // The first may have vanished before it was read.
        Ok(is_there(linked.map_err(Into::into))?)
    }

    /// Gives every directory of `scan` its attributes, now that nothing is made in them any more.
    pub fn finish(&self, scan: &Scan) -> Result<()> {
        let is_directory = |index: &usize| scan.node(*index).kind() == Kind::Directory;
        let directories: Vec<usize> = scan.entries().filter(is_directory).collect();
        workers::map_each(&directories, DIRECTORIES_AT_ONCE, |index| {
            let set = self.tree.directory(&scan.path(*index));
            let signature = &scan.node(*index).signature;
            let set =
                set.and_then(|directory| create::set_directory_attributes(&directory, signature));
            ignore_absent(set)
                .with_context(|| describe("cloning", scan, *index))
                .map_err(if_forbidden)
        })?;
        Ok(())
    }

    fn enter_if_present(
        &mut self,
        scan: &Scan,
        directory: usize,
    ) -> io::Result<Option<BorrowedFd<'_>>> {
        match self.enter(scan, directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            answer => answer.map(Some),
        }
    }

    fn enter(&mut self, scan: &Scan, directory: usize) -> io::Result<BorrowedFd<'_>> {
        self.parent.enter(&self.tree, scan, directory)
    }
}

pub fn describe(doing: &str, scan: &Scan, index: usize) -> String {
    format!("{doing} /{}", printable(&scan.path(index)))
}

fn is_there(answer: io::Result<()>) -> io::Result<bool> {
    match answer {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        answer => answer.map(|()| true),
    }
}

pub fn ignore_absent(answer: io::Result<()>) -> io::Result<()> {
    is_there(answer).map(drop)
}
