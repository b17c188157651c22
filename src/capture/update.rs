//! Looking again at a tree that was scanned before: what an earlier scan holds is compared as it goes, and made current.
//!
//! This is what a frozen container waits for. Every entry is asked for its attributes, by its name, on all processors; a
//! directory's names are read again only where its change time does not vouch for them. What is as it was costs no memory.

use std::collections::HashSet;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};

use super::directory::{
    WHITEOUT_PREFIX, clock_if_still, explain, for_each_name, has_vanished, look_at, root_signature,
};
use super::scan::{ROOT, Scan};
use super::signature::{Kind, Signature};
use crate::plan::if_mounted_over;
use crate::system::check::Check;
use crate::system::clock::Moment;
use crate::system::text::printable;
use crate::system::tree::Tree;
use crate::system::workers;

/// Entries that one thread asks about before it takes more.
pub const ENTRIES_AT_ONCE: usize = 1024;

/// What is not as it was.
#[derive(Default)]
pub struct Changes {
    /// Entries that look different, with what they looked like; the old ones are still known by their paths.
    pub different: Vec<(usize, Signature)>,
    pub new: Range<usize>,
    pub gone: Vec<usize>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.different.is_empty() && self.new.is_empty() && self.gone.is_empty()
    }
}

/// What one look at an entry found.
enum Finding {
    Different(usize, Signature),
    Gone(usize),
}

impl Scan {
    /// Looks at the tree again; the scan is current when this returns. `check` is asked again and again.
    ///
    /// # Errors
    /// The scan may have been made current in part; `changes` are those that it knows of by then.
    pub fn update(&mut self, tree: &Tree, check: &Check, changes: &mut Changes) -> Result<()> {
        self.look_at_all(tree, check, changes)?;
        changes.new = self.add_new_names(tree, check)?;
        Ok(())
    }

    fn look_at_all(&mut self, tree: &Tree, check: &Check, changes: &mut Changes) -> Result<()> {
        let count = self.nodes().len();
        let root = root_signature(tree)?;
        let findings = workers::map(count, ENTRIES_AT_ONCE, |range| {
            check()?;
            self.look_at_some(tree, range)
        })?;
        if !root.agrees_with(&self.node(ROOT).signature) {
            self.look(ROOT, root);
        }
        for finding in findings.into_iter().flatten() {
            match finding {
                // Its directory, which comes before it, is gone; what is there by now has another one.
                Finding::Different(index, _) if self.node(index).is_gone() => {}
                Finding::Different(index, signature) => {
                    changes.different.push((index, self.node(index).signature));
                    if signature.kind != Kind::Directory {
                        changes.gone.extend(self.remove_below(index));
                    }
                    self.look(index, signature);
                }
                Finding::Gone(index) => {
                    changes.gone.extend(self.remove(index));
                    // It may only have been out of reach: a directory above was away for a moment.
                    self.doubt_names(self.parent(index));
                }
            }
        }
        Ok(())
    }

    fn look_at_some(&self, tree: &Tree, range: Range<usize>) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut open: Option<(usize, Option<OwnedFd>)> = None;
        for index in range {
            if index == ROOT || self.node(index).is_gone() {
                continue;
            }
            let parent = self.parent(index);
            if open.as_ref().is_none_or(|(held, _)| *held != parent) {
                open = Some((parent, self.open(tree, parent)?));
            }
            let directory = open.as_ref().and_then(|(_, directory)| directory.as_ref());
            let found = match directory {
                Some(directory) => look_at(directory.as_fd(), self.name(index))
                    .with_context(|| format!("reading /{}", printable(&self.path(index))))
                    .map_err(if_mounted_over)?,
                None => None,
            };
            match found {
                None => findings.push(Finding::Gone(index)),
                Some(now) if !now.agrees_with(&self.node(index).signature) => {
                    findings.push(Finding::Different(index, now));
                }
                Some(_) => {}
            }
        }
        Ok(findings)
    }

    /// `None` if it has vanished.
    fn open(&self, tree: &Tree, directory: usize) -> Result<Option<OwnedFd>> {
        let path = self.path(directory);
        match tree.directory(&path) {
            Ok(open) => Ok(Some(open)),
            Err(error) if has_vanished(&error) => Ok(None),
            Err(error) => Err(explain(error, &path)),
        }
    }

    /// Adds the names that came since directories were listed, and all that is below them.
    fn add_new_names(&mut self, tree: &Tree, check: &Check) -> Result<Range<usize>> {
        let directories: Vec<usize> = std::iter::once(ROOT)
            .chain(self.entries())
            .filter(|index| self.node(*index).kind() == Kind::Directory && !self.is_listed(*index))
            .collect();
        let listings = workers::map(directories.len(), 1, |range| {
            check()?;
            self.list_new(tree, directories[range.start], check)
        })?;
        let first = self.nodes().len();
        let mut below = Vec::new();
        for (directory, listing) in directories.into_iter().zip(listings) {
            for (name, signature) in listing.new {
                let index = self.add(directory, &name, signature)?;
                if signature.kind == Kind::Directory {
                    below.push(index);
                }
            }
            self.list(directory, listing.unrepresentable, listing.read_at);
        }
        self.add_below(tree, below, check)?;
        Ok(first..self.nodes().len())
    }

    fn list_new(&self, tree: &Tree, directory: usize, check: &Check) -> Result<Listing> {
        let mut listing = Listing {
            new: Vec::new(),
            unrepresentable: 0,
            read_at: None,
        };
        let Some(open) = self.open(tree, directory)? else {
            return Ok(listing);
        };
        match self.list_into(&open, directory, &mut listing, check) {
            Err(error) if !has_vanished(&error) => Err(explain(error, &self.path(directory))),
            _ => Ok(listing),
        }
    }

    fn list_into(
        &self,
        open: &OwnedFd,
        directory: usize,
        listing: &mut Listing,
        check: &Check,
    ) -> io::Result<()> {
        let signature = &self.node(directory).signature;
        let read_at = clock_if_still(open.as_fd(), signature)?;
        // The one that was read first is last. Mostly the order is what it was.
        let mut expected: Vec<usize> = self.children(directory).collect();
        let mut strangers: HashSet<Box<[u8]>> = HashSet::new();
        for_each_name(open.as_fd(), check, |name| {
            if name.starts_with(WHITEOUT_PREFIX) {
                listing.unrepresentable += 1;
            } else if expected.last().is_some_and(|next| self.name(*next) == name) {
                expected.pop();
            } else {
                strangers.insert(name.into());
            }
            Ok(())
        })?;
        if !strangers.is_empty() {
            for index in self.children(directory) {
                strangers.remove(self.name(index));
            }
        }
        for name in strangers {
            if let Some(signature) = look_at(open.as_fd(), &name)? {
                listing.new.push((name, signature));
            }
        }
        listing.read_at = read_at;
        Ok(())
    }
}

/// What a directory has that was not known.
struct Listing {
    new: Vec<(Box<[u8]>, Signature)>,
    unrepresentable: usize,
    read_at: Option<Moment>,
}
