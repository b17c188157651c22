//! The clone says what changed and no more, in the words of containerd's differ.
//!
//! An upper directory holds more than changes: files that were opened for writing and left as they were, directories in
//! which a file came and went, whiteouts of what no layer has. The differ compares the merged tree with the layers below
//! (continuity, fs/path.go): owner, mode, device number and capability, and of all but directories size, time and
//! content. What is the same there keeps the time and the hard links that it has below. A layer with it would be as right,
//! but the tree would not be the same.
//!
//! An opaque directory becomes one that has a whiteout for each name that it hides, as layers should have them (OCI image
//! specification, layer.md, "Opaque Whiteout"): some readers know no others, and would bring back what was deleted.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use rustix::fs::readlinkat;

use super::create::{make_whiteout, set_time};
use super::lower::{Below, Layers, Lower, Merged};
use super::overlay_attributes::{OPAQUE_ATTRIBUTE, is_opaque};
use super::removal;
use super::scan::{Node, ROOT, Scan};
use super::signature::{Kind, Signature};
use crate::system::attributes::{self, Attributes, CAPABILITY_ATTRIBUTE};
use crate::system::check::{Check, unless_stopped};
use crate::system::signals;
use crate::system::text::printable;
use crate::system::tree::{self, Tree};
use crate::system::workers;

/// Entries of one directory that a thread compares before it takes more.
const ENTRIES_AT_ONCE: usize = 64;
const LARGEST_BUFFER: u64 = 1 << 20;

/// Leaves out of `clone`, which is complete, what `lower` has just so, and names what it hides.
pub fn leave_out(clone: &Tree, lower: &Lower) -> Result<()> {
    let check: &Check = &unless_stopped;
    let scan = Scan::of(clone)?;
    let mut comparison = Comparison::new(clone, &scan, lower);
    for index in scan.depth_first() {
        let compared = comparison.compare_children(index, check);
        compared.with_context(|| {
            let path = printable(&scan.path(index));
            format!("comparing /{path} with the layers below")
        })?;
    }
    comparison.conclude();
    comparison
        .carry_out()
        .context("leaving out what did not change")
}

struct Comparison<'a> {
    clone: &'a Tree,
    scan: &'a Scan,
    lower: &'a Lower,
    /// Of every entry, whether it is the same below; of directories, with all that is in them.
    unchanged: Vec<bool>,
    /// Of every directory, the layers that have it as well.
    layers: Vec<Layers>,
    /// Of every directory that the layers have as well, whether it hides what they have in it.
    hides: Vec<bool>,
    /// Those that have the mark for that, and what of the layers is hidden by directories.
    opaque: Vec<usize>,
    hidden: Vec<(usize, BTreeSet<Box<[u8]>>)>,
}

impl<'a> Comparison<'a> {
    fn new(clone: &'a Tree, scan: &'a Scan, lower: &'a Lower) -> Self {
        let count = scan.nodes().len();
        let mut layers = vec![Layers::new(); count];
        layers[ROOT] = lower.root();
        Self {
            clone,
            scan,
            lower,
            unchanged: vec![false; count],
            layers,
            hides: vec![false; count],
            opaque: Vec::new(),
            hidden: Vec::new(),
        }
    }

    /// Compares what is in a directory, each by itself.
    fn compare_children(&mut self, index: usize, check: &Check) -> Result<()> {
        let children: Vec<usize> = self.scan.children(index).collect();
        if self.scan.node(index).kind() != Kind::Directory {
            return Ok(());
        }
        let path = self.scan.path(index);
        let directory = self.clone.directory(&path)?;
        let is_opaque = is_opaque(&Attributes::of(directory.as_fd())?)?;
        self.opaque.extend(is_opaque.then_some(index));
        let layers = std::mem::take(&mut self.layers[index]);
        if layers.is_empty() {
            for child in children {
                self.unchanged[child] = self.scan.node(child).kind() == Kind::Whiteout;
            }
            return Ok(());
        }
        let merged = self.lower.directory(&layers, &path)?;
        let compared = workers::map_each(&children, ENTRIES_AT_ONCE, |child| {
            self.compare(*child, directory.as_fd(), &merged, check)
        })?;
        for (&child, (unchanged, layers)) in children.iter().zip(compared) {
            self.unchanged[child] = unchanged;
            self.layers[child] = layers;
        }
        self.hides[index] = self.hides[self.scan.parent(index)] || is_opaque;
        if self.hides[index] {
            let names = children.iter().map(|child| self.scan.name(*child));
            let hidden = merged.names_beside(&names.collect(), check)?;
            if !hidden.is_empty() {
                self.unchanged[index] = false;
                self.hidden.push((index, hidden));
            }
        }
        Ok(())
    }

    /// Whether an entry of `directory` is the same below, by itself, and which layers have it as a directory.
    fn compare(
        &self,
        child: usize,
        directory: BorrowedFd<'_>,
        merged: &Merged,
        check: &Check,
    ) -> Result<(bool, Layers)> {
        check()?;
        let (node, name) = (self.scan.node(child), self.scan.name(child));
        Ok(match merged.look(name)? {
            None => (node.kind() == Kind::Whiteout, Layers::new()),
            Some(below) => (is_same(directory, node, name, &below)?, below.layers),
        })
    }

    /// Names of one inode have changed together; a directory has with anything in it.
    fn conclude(&mut self) {
        let linked = |index: &usize| self.scan.node(*index).has_other_links();
        let linked: Vec<usize> = self.scan.entries().filter(linked).collect();
        let mut changed = HashSet::new();
        for &index in &linked {
            if !self.unchanged[index] {
                changed.insert(self.scan.node(index).signature.inode);
            }
        }
        for index in linked {
            self.unchanged[index] &= !changed.contains(&self.scan.node(index).signature.inode);
        }
        for index in self.scan.entries().rev() {
            let parent = self.scan.parent(index);
            self.unchanged[parent] &= self.unchanged[index];
        }
    }

    /// Removes what did not change, and puts whiteouts in the place of marks.
    fn carry_out(&self) -> Result<()> {
        let mut gone = vec![false; self.unchanged.len()];
        for index in self.scan.entries() {
            gone[index] = gone[self.scan.parent(index)] || self.unchanged[index];
        }
        let removed = self.scan.entries().filter(|index| gone[*index]);
        let removed: Vec<_> = removed
            .map(|index| (index, self.scan.node(index).kind()))
            .collect();
        let parents = removed.iter().map(|(index, _)| self.scan.parent(*index));
        let mut times: HashMap<_, _> = parents.map(|index| (index, self.time_of(index))).collect();
        removal::remove(self.clone, self.scan, removed)?;
        for (index, names) in &self.hidden {
            self.make_whiteouts(*index, names)?;
            times.entry(*index).or_insert(self.time_of(*index));
        }
        let is_left = |index: &usize| !gone[*index];
        for index in self.opaque.iter().copied().filter(is_left) {
            let directory = self.clone.directory(&self.scan.path(index))?;
            attributes::remove(directory.as_fd(), OPAQUE_ATTRIBUTE)?;
        }
        times.retain(|index, _| is_left(index) && *index != ROOT);
        for (index, seconds) in times {
            let directory = self.clone.directory(&self.scan.path(index))?;
            set_time(&directory, seconds)?;
        }
        Ok(())
    }

    fn make_whiteouts(&self, directory: usize, names: &BTreeSet<Box<[u8]>>) -> Result<()> {
        let directory = self.clone.directory(&self.scan.path(directory))?;
        for name in names {
            signals::check()?;
            make_whiteout(directory.as_fd(), OsStr::from_bytes(name))?;
        }
        Ok(())
    }

    fn time_of(&self, index: usize) -> i64 {
        self.scan
            .node(index)
            .signature
            .modified
            .seconds()
            .unwrap_or(0)
    }
}

/// Whether the entry `node` of `directory` is the same `below`, by itself.
fn is_same(
    directory: BorrowedFd<'_>,
    node: &Node,
    name: &[u8],
    below: &Below<'_>,
) -> io::Result<bool> {
    let (here, there) = (&node.signature, &below.signature);
    if !have_same_attributes(here, there) {
        return Ok(false);
    }
    let capability = |parent| Attributes::at(parent, name)?.value(CAPABILITY_ATTRIBUTE);
    if capability(directory)? != capability(below.parent)? {
        return Ok(false);
    }
    match node.kind() {
        Kind::Directory => Ok(true),
        _ if !have_same_time_and_size(here, there) => Ok(false),
        Kind::File => have_same_content([directory, below.parent], name, here.size()),
        Kind::Symlink => {
            let target = |parent| readlinkat(parent, OsStr::from_bytes(name), Vec::new());
            Ok(target(directory)? == target(below.parent)?)
        }
        Kind::Special | Kind::Whiteout => Ok(true),
    }
}

fn have_same_attributes(here: &Signature, there: &Signature) -> bool {
    let attributes = |signature: &Signature| {
        let Signature { owner, group, .. } = *signature;
        (signature.mode(), owner, group, signature.node())
    };
    attributes(here) == attributes(there)
}

/// The clone has whole seconds: a time below with a fraction tells nothing about it.
fn have_same_time_and_size(here: &Signature, there: &Signature) -> bool {
    here.modified == there.modified && here.size() == there.size()
}

/// Of the files `name` in two directories, both of this size.
fn have_same_content(directories: [BorrowedFd<'_>; 2], name: &[u8], size: u64) -> io::Result<bool> {
    let buffer = size.clamp(1, LARGEST_BUFFER).try_into().unwrap_or(1);
    let open = |parent| -> io::Result<_> {
        let file = File::from(tree::open_at(parent, name, |_| true)?);
        Ok(BufReader::with_capacity(buffer, file))
    };
    let [one, other] = directories;
    let (mut one, mut other) = (open(one)?, open(other)?);
    loop {
        signals::check().map_err(io::Error::other)?;
        let (here, there) = (one.fill_buf()?, other.fill_buf()?);
        let count = here.len().min(there.len());
        if count == 0 {
            return Ok(here.len() == there.len());
        }
        if here[..count] != there[..count] {
            return Ok(false);
        }
        one.consume(count);
        other.consume(count);
    }
}
