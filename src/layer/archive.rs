//! The archive: entries as containerd's differ writes them, so that unpacking gives the tree that the clone is.
//!
//! PAX (pax(1), POSIX.1-2001) where a field of the ustar header is too small; whole-second times; no names of users or
//! groups; parents first, in a stable order; whiteouts as in the OCI image specification, layer.md.

use std::collections::{HashMap, hash_map};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::{Context, Result, ensure};
use tar::{Builder, EntryType};

use super::entry::Entry;
use crate::capture::directory::WHITEOUT_PREFIX;
use crate::capture::open_directory::OpenDirectory;
use crate::capture::scan::{Node, ROOT, Scan};
use crate::capture::signature::Kind;
use crate::system::attributes::{Attributes, CAPABILITY_ATTRIBUTE};
use crate::system::cache::{self, Portions};
use crate::system::text::printable;
use crate::system::tree::{self, Tree};

/// Contents fill whole ones (pax(1)).
const BLOCK: u64 = 512;
/// As many reads as a disk makes use of.
const FETCHED_AT_ONCE: usize = 64;

/// Where an archive goes: written by pieces, or read straight into them.
pub trait Sink: Write {
    /// Takes the next bytes of `file`, as many as suit and no more than `most`; returns how many, none where it ends.
    fn take_from(&mut self, file: &File, most: u64) -> io::Result<u64>;
}

/// Writes the entries of `tree`, which is what `scan` says, to `sink`; returns how many. `has_read` is told of each node.
pub fn write(
    tree: &Tree,
    scan: &Scan,
    sink: &mut dyn Sink,
    has_read: &mut dyn FnMut(&Node) -> Result<()>,
) -> Result<u64> {
    let mut archive = Archive {
        tree,
        scan,
        builder: Builder::new(sink),
        links: HashMap::new(),
        directory: OpenDirectory::default(),
        entries: 0,
    };
    let mut entries = scan.depth_first();
    entries.retain(|index| *index != ROOT);
    for part in entries.chunks(FETCHED_AT_ONCE) {
        archive.fetch(part);
        for &index in part {
            archive
                .append(index)
                .with_context(|| format!("/{}", printable(&scan.path(index))))?;
            has_read(scan.node(index))?;
        }
    }
    archive.builder.finish().context("ending the archive")?;
    Ok(archive.entries)
}

struct Archive<'a> {
    tree: &'a Tree,
    scan: &'a Scan,
    builder: Builder<&'a mut dyn Sink>,
    /// The first path of an inode that has several.
    links: HashMap<u64, Vec<u8>>,
    directory: OpenDirectory,
    entries: u64,
}

impl Archive<'_> {
    /// Has the files among `entries` brought into memory.
    fn fetch(&mut self, entries: &[usize]) {
        let scan = self.scan;
        cache::fetch(scan.with_content(entries).filter_map(|(index, node)| {
            let directory = self.enter(scan.parent(index)).ok()?;
            let file = tree::open_own(directory, scan.name(index)).ok()?;
            Some((file, node.signature.size()))
        }));
    }

    fn append(&mut self, index: usize) -> Result<()> {
        let scan = self.scan;
        let (node, path) = (scan.node(index), scan.path(index));
        if let Some(first) = self.first_link(node, &path) {
            let entry = Entry::new(node, path, EntryType::Link).linking_to(first);
            return self.append_closed(index, entry);
        }
        match node.kind() {
            Kind::Directory => self.append_directory(index, node, path),
            Kind::File => self.append_file(index, node, path),
            Kind::Symlink => {
                let name = OsStr::from_bytes(scan.name(index));
                let directory = self.enter(scan.parent(index))?;
                let target = rustix::fs::readlinkat(directory, name, Vec::new())?;
                let entry = Entry::new(node, path, EntryType::Symlink);
                self.append_closed(index, entry.linking_to(target.into_bytes()))
            }
            Kind::Special => {
                self.append_closed(index, Entry::new(node, path, Entry::special_type(node)))
            }
            Kind::Whiteout => self.append_whiteout(index, scan.name(index)),
        }
    }

    /// What is not opened has no content. A further name of a file repeats its capability: giving it its owner, as every
    /// reader does, takes the capability away (capabilities(7)).
    fn append_closed(&mut self, index: usize, mut entry: Entry) -> Result<()> {
        let scan = self.scan;
        let directory = self.enter(scan.parent(index))?;
        let name = scan.name(index);
        entry.set_capability(Attributes::at(directory, name)?.value(CAPABILITY_ATTRIBUTE)?);
        self.append_entry(entry)
    }

    fn first_link(&mut self, node: &Node, path: &[u8]) -> Option<Vec<u8>> {
        if !node.has_other_links() {
            return None;
        }
        match self.links.entry(node.signature.inode) {
            hash_map::Entry::Occupied(first) => Some(first.get().clone()),
            hash_map::Entry::Vacant(place) => {
                place.insert(path.to_vec());
                None
            }
        }
    }

    fn append_directory(&mut self, index: usize, node: &Node, mut path: Vec<u8>) -> Result<()> {
        let directory = self.enter(index)?;
        let capability = Attributes::of(directory)?.value(CAPABILITY_ATTRIBUTE)?;
        path.push(b'/');
        let mut entry = Entry::new(node, path, EntryType::Directory);
        entry.set_capability(capability);
        self.append_entry(entry)
    }

    fn append_whiteout(&mut self, index: usize, name: &[u8]) -> Result<()> {
        let mut path = self.scan.path(self.scan.parent(index));
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(WHITEOUT_PREFIX);
        path.extend(name);
        self.append_entry(Entry::whiteout(path))
    }

    fn append_file(&mut self, index: usize, node: &Node, path: Vec<u8>) -> Result<()> {
        let scan = self.scan;
        let directory = self.enter(scan.parent(index))?;
        let file = tree::open_own(directory, scan.name(index))?;
        let mut entry = Entry::new(node, path, EntryType::Regular);
        entry.size = node.signature.size();
        entry.set_capability(Attributes::of(file.as_fd())?.value(CAPABILITY_ATTRIBUTE)?);
        let size = entry.size;
        self.append_entry(entry)?;
        self.append_content(&file.into(), size)
    }

    /// Exactly what the header says. It is given to the disk as it is read, if that does not have it: so it has enough to
    /// do and never too much.
    fn append_content(&mut self, file: &File, size: u64) -> Result<()> {
        let sink = self.builder.get_mut();
        let mut portions = Portions::default();
        let mut left = size;
        while left > 0 {
            let count = sink.take_from(file, left)?;
            ensure!(
                count > 0,
                "the clone has changed: something else writes to containerd's directories"
            );
            left -= count;
            portions.advance(file.as_fd(), count);
        }
        let padding = size.next_multiple_of(BLOCK) - size;
        io::copy(&mut io::repeat(0).take(padding), sink)?;
        Ok(())
    }

    /// The header; what content it tells of is to follow.
    fn append_entry(&mut self, entry: Entry) -> Result<()> {
        let (header, records) = entry.encode();
        if let Some((header, records)) = records {
            self.builder.append(&header, records.bytes())?;
        }
        self.builder.append(&header, io::empty())?;
        self.entries += 1;
        Ok(())
    }

    fn enter(&mut self, index: usize) -> io::Result<BorrowedFd<'_>> {
        self.directory.enter(self.tree, self.scan, index)
    }
}
