//! Removing entries from a tree that is ours: files on all processors, then directories, from within.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result};
use rustix::fs::{AtFlags, unlinkat};

use super::open_directory::OpenDirectory;
use super::replica::{describe, ignore_absent};
use super::scan::Scan;
use super::signature::Kind;
use crate::system::check::unless_stopped;
use crate::system::tree::Tree;
use crate::system::workers;

/// Entries that one thread removes before it takes more.
const ENTRIES_AT_ONCE: usize = 64;

/// Removes `entries`, each with what it is in `tree`, if it is there.
pub fn remove(tree: &Tree, scan: &Scan, entries: Vec<(usize, Kind)>) -> Result<()> {
    let is_directory = |(_, kind): &(usize, Kind)| *kind == Kind::Directory;
    let (mut directories, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_directory);
    workers::map(others.len(), ENTRIES_AT_ONCE, |range| {
        unless_stopped()?;
        remove_one_by_one(tree, scan, &others[range])
    })?;
    // In a scan a directory comes before what is in it.
    directories.sort_unstable_by_key(|(index, _)| Reverse(*index));
    remove_one_by_one(tree, scan, &directories)
}

fn remove_one_by_one(tree: &Tree, scan: &Scan, entries: &[(usize, Kind)]) -> Result<()> {
    let mut parent = OpenDirectory::default();
    for &(index, kind) in entries {
        let flags = match kind {
            Kind::Directory => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        let name = OsStr::from_bytes(scan.name(index));
        let removed = parent
            .enter(tree, scan, scan.parent(index))
            .and_then(|parent| Ok(unlinkat(parent, name, flags)?));
        ignore_absent(removed).with_context(|| describe("removing the copy of", scan, index))?;
    }
    Ok(())
}
