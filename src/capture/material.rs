//! Reading the source: what an entry is made of, beyond its attributes.
//!
//! Contents go into memory, so that reading under a freeze touches no disk and no journal of ours; of what does not fit,
//! small files go into one file together, larger ones are shared or copied into a staging file by the kernel. Of a large
//! file that has a copy already, only what differs is read. At most the size that was scanned is.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::Statx;

use super::difference;
use super::directory::has_vanished;
use super::memory::{Memory, Piece};
use super::open_directory::OpenDirectory;
use super::overlay_attributes::{WHITEOUT_ATTRIBUTE, is_opaque, own_attributes};
use super::scan::{Node, Scan};
use super::sharing::{
    self, FEW_EXTENTS, LITTLE_UNWRITTEN, most_unwritten, worth_sharing, worth_waiting_for,
};
use super::signature::{Kind, Signature};
use super::staging::{StagedFile, Staging};
use crate::plan::if_mounted_over;
use crate::system::attributes::{Attributes, CAPABILITY_ATTRIBUTE};
use crate::system::cache::{self, Cached};
use crate::system::check::Check;
use crate::system::file::{self, Segment, Sharing};
use crate::system::text::printable;
use crate::system::tree::{self, Tree};

/// Larger files are staged, so that a few of them do not use the memory up.
const LARGEST_IN_MEMORY: u64 = 16 << 20;

/// What an entry is made of.
pub enum Material {
    Directory {
        opaque: bool,
        capability: Option<Vec<u8>>,
    },
    Symlink {
        target: Vec<u8>,
        capability: Option<Vec<u8>>,
    },
    File(FileMaterial),
    /// A further name of the inode that the entry with this index has.
    Link(usize),
    Whiteout,
    Special {
        capability: Option<Vec<u8>>,
    },
    /// It was gone when we came to read it.
    Vanished,
}

pub struct FileMaterial {
    pub size: u64,
    pub capability: Option<Vec<u8>>,
    pub content: Content,
}

pub enum Content {
    Memory(Vec<Piece>),
    Staged(StagedFile),
    /// What must be done to the copy that there is.
    Patch {
        data: PatchData,
        holes: Vec<Segment>,
    },
}

pub enum PatchData {
    Memory(Vec<Piece>),
    /// At the same places in another file.
    Staged(StagedFile, Vec<Segment>),
}

/// An entry of the scan with what it is made of.
pub struct ReadEntry {
    pub index: usize,
    pub material: Material,
}

impl ReadEntry {
    /// A further name of the inode that the entry `first` has.
    pub fn link(index: usize, first: usize) -> Self {
        let material = Material::Link(first);
        Self { index, material }
    }
}

/// What entries are read with, by one thread.
pub struct Reader<'tree> {
    source: &'tree Tree,
    staging: Arc<Staging>,
    pub memory: Memory,
    directory: OpenDirectory,
    can_share: bool,
    /// The container does not wait for what is read.
    is_ahead: bool,
    /// Unwritten bytes that sharing may wait for while it does.
    most_unwritten: u64,
    /// Bytes copied.
    pub bytes: u64,
    /// Bytes compared.
    pub compared: u64,
}

impl<'tree> Reader<'tree> {
    /// At most `memory` bytes are used for contents. No file is shared for which a freeze of `hold` would be too short, and
    /// none unless `can_share`: ZFS fails to share what it has not written, waits for that, or shares its beginning and says
    /// that it was all (openzfs/zfs issues 15728 and 15994).
    pub fn new(
        source: &'tree Tree,
        staging: Arc<Staging>,
        memory: usize,
        can_share: bool,
        hold: Duration,
    ) -> Self {
        Self {
            source,
            memory: Memory::new(memory, staging.clone()),
            staging,
            directory: OpenDirectory::default(),
            can_share,
            is_ahead: false,
            most_unwritten: most_unwritten(hold),
            bytes: 0,
            compared: 0,
        }
    }

    /// To be called when the scan was updated, as other directories may be at its paths; what was read is forgotten.
    /// `is_ahead` tells that the container does not wait, and that what is to be read was written to disk just now.
    pub fn begin(&mut self, is_ahead: bool) {
        self.is_ahead = is_ahead;
        self.directory.forget();
        self.memory.reuse();
        (self.bytes, self.compared) = (0, 0);
    }

    /// Has the files among `entries` brought into memory. What has become of them is seen, and said, when they are read.
    pub fn fetch(&mut self, scan: &Scan, entries: &[usize]) {
        cache::fetch(scan.with_content(entries).filter_map(|(index, node)| {
            let file = self.open(scan, index).ok()?;
            Some((file, node.signature.size()))
        }));
    }

    /// Opens files; `None` if one of them has vanished, which may be back by the time it is read.
    pub fn open_all(&mut self, scan: &Scan, files: &[usize]) -> Result<Option<Vec<OwnedFd>>> {
        let opened = files.iter().map(|&index| match self.open(scan, index) {
            Err(error) if error.downcast_ref().is_some_and(has_vanished) => Ok(None),
            opened => opened.map(Some).with_context(|| copying(scan, index)),
        });
        opened.collect()
    }

    fn open(&mut self, scan: &Scan, index: usize) -> Result<OwnedFd> {
        let parent = self.enter(scan, scan.parent(index))?;
        Ok(open_checked(parent, scan.node(index), scan.name(index))?)
    }

    /// Reads one entry; `copy` is what the clone has of its content. `check` is asked between pieces of a long copy.
    pub fn read(
        &mut self,
        scan: &Scan,
        index: usize,
        copy: Option<OwnedFd>,
        check: &Check,
    ) -> Result<ReadEntry> {
        let material = match self.material(scan, index, copy, check) {
            Err(error) if error.downcast_ref().is_some_and(has_vanished) => Material::Vanished,
            material => material
                .with_context(|| copying(scan, index))
                .map_err(if_mounted_over)?,
        };
        Ok(ReadEntry { index, material })
    }

    /// Whether an entry still looks as it did when it was scanned.
    pub fn still_agrees(&mut self, scan: &Scan, index: usize) -> bool {
        let signature = scan.node(index).signature;
        let now = self
            .enter(scan, scan.parent(index))
            .and_then(|parent| tree::stat_at(parent, scan.name(index)));
        now.is_ok_and(|stat| Signature::of(&stat).is_some_and(|now| now.agrees_with(&signature)))
    }

    fn material(
        &mut self,
        scan: &Scan,
        index: usize,
        copy: Option<OwnedFd>,
        check: &Check,
    ) -> Result<Material> {
        let (node, name) = (scan.node(index), scan.name(index));
        let parent = self.enter(scan, scan.parent(index))?;
        Ok(match node.kind() {
            Kind::Directory => directory_material(&open_checked(parent, node, name)?)?,
            Kind::File => {
                let file = open_checked(parent, node, name)?;
                self.file_material(&file, node.signature.size(), copy, check)?
            }
            Kind::Symlink => Material::Symlink {
                target: tree::link_target(handle_checked(parent, node, name)?.as_fd())?,
                capability: capability(parent, name)?,
            },
            Kind::Whiteout => Material::Whiteout,
            Kind::Special => Material::Special {
                capability: capability(parent, name)?,
            },
        })
    }

    fn enter(&mut self, scan: &Scan, directory: usize) -> io::Result<BorrowedFd<'_>> {
        self.directory.enter(self.source, scan, directory)
    }

    fn file_material(
        &mut self,
        file: &OwnedFd,
        size: u64,
        copy: Option<OwnedFd>,
        check: &Check,
    ) -> Result<Material> {
        let file = file.as_fd();
        let attributes = own_attributes(file)?;
        if size == 0 && attributes.value(WHITEOUT_ATTRIBUTE)?.is_some() {
            return Ok(Material::Whiteout);
        }
        let capability = attributes.value(CAPABILITY_ATTRIBUTE)?;
        let data = file::segments(file, size, check)?;
        let content = match copy {
            Some(copy) => self.against(file, copy.as_fd(), &data, size, check)?,
            None if length(&data) <= LARGEST_IN_MEMORY && self.memory.takes(length(&data)) => {
                Content::Memory(self.read_into_memory(file, &data)?)
            }
            None => Content::Staged(self.stage(file, &data, check)?),
        };
        // A file that shrank is short; one that grew is cut.
        let size = size.min(tree::stat(file)?.stx_size);
        Ok(Material::File(FileMaterial {
            size,
            capability,
            content,
        }))
    }

    /// What is there that the copy has not.
    fn against(
        &mut self,
        file: BorrowedFd<'_>,
        copy: BorrowedFd<'_>,
        data: &[Segment],
        size: u64,
        check: &Check,
    ) -> Result<Content> {
        if size > LARGEST_IN_MEMORY
            && let Some(shared) = self.share(file, Some(copy), data, check)?
        {
            return Ok(Content::Staged(shared));
        }
        let difference = difference::between(file, copy, data, size, check)?;
        self.compared += length(data);
        let data = if self.memory.takes(length(&difference.data)) {
            PatchData::Memory(self.read_into_memory(file, &difference.data)?)
        } else {
            let staged = self.staged_copy(file, &difference.data, check)?;
            PatchData::Staged(staged, difference.data)
        };
        let holes = difference.holes;
        Ok(Content::Patch { data, holes })
    }

    fn read_into_memory(&mut self, file: BorrowedFd<'_>, data: &[Segment]) -> Result<Vec<Piece>> {
        let mut pieces = Vec::with_capacity(data.len());
        for segment in data {
            let piece = self.memory.read(file, *segment)?;
            self.bytes += piece.length as u64;
            pieces.push(piece);
        }
        Ok(pieces)
    }

    fn stage(
        &mut self,
        file: BorrowedFd<'_>,
        data: &[Segment],
        check: &Check,
    ) -> Result<StagedFile> {
        match self.share(file, None, data, check)? {
            Some(shared) => Ok(shared),
            None => self.staged_copy(file, data, check),
        }
    }

    /// A file with the same content, where the file system can share it, and sooner than its data and those of a copy are
    /// read.
    fn share(
        &mut self,
        file: BorrowedFd<'_>,
        copy: Option<BorrowedFd<'_>>,
        data: &[Segment],
        check: &Check,
    ) -> Result<Option<StagedFile>> {
        if !self.can_share || self.is_sooner_read(file, copy, data, check)? {
            return Ok(None);
        }
        // Whoever writes to the file waits for a small part of it then.
        if self.is_ahead && sharing::takes_long(file, data, FEW_EXTENTS, check)? {
            return self.staged_copy(file, data, check).map(Some);
        }
        let (target, staged) = self.staging.create()?;
        let shared = file::share_content(file, target.as_fd())?;
        self.can_share = shared != Sharing::OfNone;
        Ok((shared == Sharing::Done).then_some(staged))
    }

    /// Whether data is sooner read than what is unwritten of it is written and its extents are shared. Where the kernel does
    /// not tell, all of a new file may be unwritten, one that has a copy was written for that, and both are to be read from
    /// disk.
    fn is_sooner_read(
        &self,
        file: BorrowedFd<'_>,
        copy: Option<BorrowedFd<'_>>,
        data: &[Segment],
        check: &Check,
    ) -> Result<bool> {
        let own = cache::cached(file);
        if own.is_none() && copy.is_none() && !self.is_ahead {
            return Ok(true);
        }
        let unwritten = own.as_ref().map_or(0, |own| own.unwritten);
        if self.is_ahead {
            return Ok(unwritten >= LITTLE_UNWRITTEN);
        }
        let length = length(data);
        let on_disk = |cached: Option<Cached>| {
            cached.map_or(length, |cached| length.saturating_sub(cached.all))
        };
        let of_copy = copy.map_or(0, |copy| on_disk(cache::cached(copy)));
        let on_disk = on_disk(own) + of_copy;
        let most_unwritten = worth_waiting_for(length, on_disk).min(self.most_unwritten);
        let most_extents = worth_sharing(length, on_disk);
        Ok(unwritten >= most_unwritten || sharing::takes_long(file, data, most_extents, check)?)
    }

    /// Pieces in a file of their own. What can be shared is, by pieces each of which is on disk and shared soon, unless the
    /// container waits.
    fn staged_copy(
        &mut self,
        file: BorrowedFd<'_>,
        data: &[Segment],
        check: &Check,
    ) -> Result<StagedFile> {
        let (target, staged) = self.staging.create()?;
        let target = target.as_fd();
        for segment in data {
            self.bytes += if self.can_share && !self.is_ahead {
                file::copy_through_memory(file, target, *segment, check)?
            } else {
                file::copy_segment(file, target, *segment, check)?
            };
        }
        Ok(staged)
    }
}

/// It may be the writing that fails.
fn copying(scan: &Scan, index: usize) -> String {
    format!("copying /{}", printable(&scan.path(index)))
}

/// Opens an entry, if it still is the inode that was scanned.
fn open_checked(parent: BorrowedFd<'_>, node: &Node, name: &[u8]) -> io::Result<OwnedFd> {
    tree::open_at(parent, name, |stat| is_still(node, stat))
}

/// The same for what cannot be opened.
fn handle_checked(parent: BorrowedFd<'_>, node: &Node, name: &[u8]) -> io::Result<OwnedFd> {
    tree::handle_at(parent, name, |stat| is_still(node, stat))
}

/// That of an entry which cannot be opened.
fn capability(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    Attributes::at(parent, name)?.value(CAPABILITY_ATTRIBUTE)
}

/// Whether it is the inode that was scanned, whatever has become of its attributes.
fn is_still(node: &Node, stat: &Statx) -> bool {
    let now = Signature::of(stat);
    now.is_some_and(|now| now.identity() == node.signature.identity() && now.kind == node.kind())
}

fn length(data: &[Segment]) -> u64 {
    data.iter().map(|segment| segment.length).sum()
}

fn directory_material(directory: &OwnedFd) -> Result<Material> {
    let attributes = own_attributes(directory.as_fd())?;
    Ok(Material::Directory {
        opaque: is_opaque(&attributes)?,
        capability: attributes.value(CAPABILITY_ATTRIBUTE)?,
    })
}
