//! A scan: what a tree looks like at one moment, by attributes alone; no file is opened.
//!
//! Directories are read level by level, on all processors where a level is wide. A directory that vanishes while the
//! container runs is scanned as empty: the scan under the freeze decides. Left out are sockets, which no layer has, and
//! names that mean something else in a layer. About 100 bytes are held for each entry; `update` looks again in place.

use std::collections::{HashMap, HashSet, VecDeque};
use std::iter;

use anyhow::{Context, Result, ensure};

use super::directory::{self, Content};
use super::signature::{Kind, Signature};
use crate::system::capacity::available_memory;
use crate::system::check::{Check, unless_stopped};
use crate::system::clock::{Grain, Moment};
use crate::system::text::printable;
use crate::system::tree::Tree;
use crate::system::workers;

/// Directories that one thread reads before it asks for more; narrower levels are not worth a second.
const DIRECTORIES_AT_ONCE: usize = 16;
/// Directories whose contents are held twice at a time.
const DIRECTORIES_HELD: usize = 1024;
/// Entries between two looks at the memory that is left.
const ENTRIES_PER_LOOK: usize = 1 << 16;
/// In bytes, with what the ledger and a delta hold of it: measured with a million names.
const ENTRY: u64 = 300;
pub const ROOT: usize = 0;
/// The root is nobody's child and nobody's sibling.
const NONE: u32 = 0;

/// A container makes names for nothing, with hard links for one: they may not take more than what is left beside them.
fn check_memory(entries: usize, available: u64) -> Result<()> {
    ensure!(
        entries as u64 * ENTRY <= available,
        "too little memory: the container has more than {entries} files, and {} MB are left for their names",
        available / 1_000_000
    );
    Ok(())
}

#[derive(Clone, Debug)]
pub struct Node {
    pub signature: Signature,
    parent: u32,
    first_child: u32,
    next_sibling: u32,
    /// Where its name is: a byte for the length comes first.
    name: u32,
    /// It was there when an earlier scan looked. Its path still is what it was.
    is_gone: bool,
    /// Of a directory: a name that comes is bound to move its change time.
    is_listed: bool,
}

impl Node {
    pub fn kind(&self) -> Kind {
        self.signature.kind
    }

    pub fn is_gone(&self) -> bool {
        self.is_gone
    }

    pub fn has_other_links(&self) -> bool {
        self.signature.has_other_links()
    }
}

/// The entries of a tree, parents before children.
pub struct Scan {
    nodes: Vec<Node>,
    names: Vec<u8>,
    grain: Option<Grain>,
    /// By directory: entries left out because no layer can carry their names.
    unrepresentable: HashMap<usize, usize>,
}

impl Scan {
    /// Scans `tree`; a signal ends that.
    pub fn of(tree: &Tree) -> Result<Self> {
        Self::of_changing(tree, None)
    }

    /// The same for a tree that is looked at again, and has stamps of this grain, if they say anything.
    pub fn of_changing(tree: &Tree, grain: Option<Grain>) -> Result<Self> {
        let mut scan = Self::empty(tree, grain)?;
        scan.add_below(tree, vec![ROOT], &unless_stopped)?;
        Ok(scan)
    }

    /// A tree of which nothing is known yet but its root.
    fn empty(tree: &Tree, grain: Option<Grain>) -> Result<Self> {
        let mut scan = Self {
            nodes: Vec::new(),
            names: Vec::new(),
            grain,
            unrepresentable: HashMap::new(),
        };
        let name = scan.store_name(b"")?;
        scan.nodes.push(Node {
            signature: directory::root_signature(tree)?,
            parent: NONE,
            first_child: NONE,
            next_sibling: NONE,
            name,
            is_gone: false,
            is_listed: false,
        });
        Ok(scan)
    }

    /// With the root, and with what is gone.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub fn name(&self, index: usize) -> &[u8] {
        let start = self.nodes[index].name as usize;
        let length = usize::from(self.names[start]);
        &self.names[start + 1..][..length]
    }

    pub fn parent(&self, index: usize) -> usize {
        self.nodes[index].parent as usize
    }

    /// What is in a directory now, in no order.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let next = |index: u32| (index != NONE).then_some(index);
        let first = next(self.nodes[index].first_child);
        let all = iter::successors(first, move |child| {
            next(self.nodes[*child as usize].next_sibling)
        });
        all.map(|child| child as usize)
            .filter(|child| !self.nodes[*child].is_gone)
    }

    /// All entries that are there but the root; directories before what is in them.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = usize> + '_ {
        (1..self.nodes.len()).filter(|index| !self.nodes[*index].is_gone)
    }

    /// All files that are there, each once whatever names it has.
    pub fn files(&self) -> impl Iterator<Item = usize> + '_ {
        let mut seen = HashSet::new();
        self.entries().filter(move |index| {
            let signature = &self.node(*index).signature;
            signature.kind == Kind::File
                && (!signature.has_other_links() || seen.insert(signature.identity()))
        })
    }

    /// Entries left out because no layer can carry their names.
    pub fn unrepresentable(&self) -> usize {
        self.unrepresentable
            .iter()
            .filter(|(directory, _)| !self.nodes[**directory].is_gone)
            .map(|(_, count)| count)
            .sum()
    }

    /// The path of an entry, from the tree's root, without a leading slash.
    pub fn path(&self, mut index: usize) -> Vec<u8> {
        let mut names = VecDeque::new();
        while index != ROOT {
            names.push_front(self.name(index));
            index = self.parent(index);
        }
        names.make_contiguous().join(&b'/')
    }

    /// Those of `entries` that are files with a content.
    pub fn with_content(&self, entries: &[usize]) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = entries.iter().map(|index| (*index, self.node(*index)));
        nodes.filter(|(_, node)| node.kind() == Kind::File && node.signature.size() > 0)
    }

    /// Parents first, and each directory's content right after it, in the order of names.
    pub fn depth_first(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut waiting = vec![ROOT];
        while let Some(index) = waiting.pop() {
            order.push(index);
            let first = waiting.len();
            waiting.extend(self.children(index));
            waiting[first..].sort_unstable_by(|one, other| self.name(*other).cmp(self.name(*one)));
        }
        order
    }

    /// Adds all that is below these directories, of which nothing is known yet; returns the first entry added.
    pub(super) fn add_below(
        &mut self,
        tree: &Tree,
        mut level: Vec<usize>,
        check: &Check,
    ) -> Result<usize> {
        let first = self.nodes.len();
        while !level.is_empty() {
            let mut next = Vec::new();
            for part in level.chunks(DIRECTORIES_HELD) {
                let contents = workers::map_each(part, DIRECTORIES_AT_ONCE, |index| {
                    let signature = &self.node(*index).signature;
                    directory::read(tree, &self.path(*index), signature, check)
                })?;
                for (&parent, content) in part.iter().zip(&contents) {
                    self.add_content(parent, content, &mut next)?;
                }
            }
            level = next;
        }
        Ok(first)
    }

    fn add_content(
        &mut self,
        parent: usize,
        content: &Content,
        directories: &mut Vec<usize>,
    ) -> Result<()> {
        self.list(parent, content.unrepresentable, content.read_at);
        for (name, signature) in content.entries() {
            let index = self.add(parent, name, *signature)?;
            if signature.kind == Kind::Directory {
                directories.push(index);
            }
        }
        Ok(())
    }

    /// Takes note that the names in a directory were read; without a time, not in such a way that its change time could vouch
    /// for them.
    pub(super) fn list(
        &mut self,
        directory: usize,
        unrepresentable: usize,
        read_at: Option<Moment>,
    ) {
        self.unrepresentable.remove(&directory);
        if unrepresentable > 0 {
            self.unrepresentable.insert(directory, unrepresentable);
        }
        let node = &mut self.nodes[directory];
        let changed = node.signature.changed;
        node.is_listed = self
            .grain
            .zip(read_at)
            .is_some_and(|(grain, read_at)| grain.separates(changed, read_at));
    }

    /// Has the names in a directory read again, whatever its change time says.
    pub(super) fn doubt_names(&mut self, directory: usize) {
        self.nodes[directory].is_listed = false;
    }

    pub(super) fn is_listed(&self, directory: usize) -> bool {
        self.nodes[directory].is_listed
    }

    /// Adds an entry to a directory.
    pub(super) fn add(
        &mut self,
        parent: usize,
        name: &[u8],
        signature: Signature,
    ) -> Result<usize> {
        if self.nodes.len().is_multiple_of(ENTRIES_PER_LOOK) {
            check_memory(self.nodes.len(), available_memory()?)?;
        }
        let index = u32::try_from(self.nodes.len()).context("too many files")?;
        let name = self.store_name(name)?;
        self.nodes.push(Node {
            signature,
            // It fitted when it was added itself.
            parent: u32::try_from(parent)?,
            first_child: NONE,
            next_sibling: self.nodes[parent].first_child,
            name,
            is_gone: false,
            is_listed: false,
        });
        self.nodes[parent].first_child = index;
        Ok(index as usize)
    }

    /// Takes note of what an entry looks like now.
    pub(super) fn look(&mut self, index: usize, signature: Signature) {
        let node = &mut self.nodes[index];
        (node.signature, node.is_listed) = (signature, false);
    }

    /// Takes note that an entry is gone, with all that was below it; returns those that were there.
    pub(super) fn remove(&mut self, index: usize) -> Vec<usize> {
        let mut gone = Vec::new();
        let mut waiting = vec![index];
        while let Some(index) = waiting.pop() {
            if !self.nodes[index].is_gone {
                gone.push(index);
                waiting.extend(self.children(index));
                self.nodes[index].is_gone = true;
            }
        }
        gone
    }

    /// Takes note that all is gone that was below a directory.
    pub(super) fn remove_below(&mut self, directory: usize) -> Vec<usize> {
        let children: Vec<usize> = self.children(directory).collect();
        let removed = children.into_iter().map(|child| self.remove(child));
        removed.flatten().collect()
    }

    fn store_name(&mut self, name: &[u8]) -> Result<u32> {
        let start = u32::try_from(self.names.len()).context("too many names")?;
        let length = u8::try_from(name.len());
        ensure!(
            length.is_ok(),
            "a name of more than 255 bytes: {}",
            printable(name)
        );
        self.names.extend(length);
        self.names.extend_from_slice(name);
        Ok(start)
    }

    /// Makes the entry `name` of the root look as if it had changed at `moment`.
    #[cfg(test)]
    pub fn stamp(&mut self, name: &str, moment: Moment) {
        let index = self.find(name);
        self.nodes[index].signature.changed = moment;
    }

    /// The entry `name` of the root.
    #[cfg(test)]
    pub fn find(&self, name: &str) -> usize {
        let mut children = self.children(ROOT);
        let found = children.find(|index| self.name(*index) == name.as_bytes());
        found.unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_no_more_memory_than_they_leave() {
        let available = available_memory().unwrap();
        assert!(available > 64 << 20, "{available}");
        check_memory(1 << 16, available).unwrap();
        let refusal = check_memory(1 << 30, 100 << 30).unwrap_err().to_string();
        assert!(refusal.contains("107374 MB are left"), "{refusal}");
    }
}
