//! Reading the source: what an entry is made of, beyond its attributes.
//!
//! Contents go into memory, so that reading under a freeze touches no disk and no journal of ours; what does not fit is
//! copied into a staging file by the kernel. At most the size that was scanned is read.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::io::Errno;

use super::memory::Memory;
use super::scan::{Node, ROOT, Scan, has_vanished};
use super::signature::{Kind, Signature};
use crate::system::clock::Moment;
use crate::system::file::{self, Segment};
use crate::system::text::printable;
use crate::system::tree::{self, Tree};

/// Larger files are staged, so that a few of them do not use the memory up.
const LARGEST_IN_MEMORY: u64 = 16 << 20;
/// A file that has so much of its own writing as a whiteout is none.
const WHITEOUT_ATTRIBUTE: &str = "trusted.overlay.whiteout";
pub const OPAQUE_ATTRIBUTE: &str = "trusted.overlay.opaque";
pub const CAPABILITY_ATTRIBUTE: &str = "security.capability";
/// Attributes of a merged view that an upper directory alone does not show (kernel: filesystems/overlayfs.rst).
const MERGED_ONLY: [&str; 2] = ["trusted.overlay.redirect", "trusted.overlay.metacopy"];

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
    /// Runs of bytes: where they belong, and where they lie in the memory.
    Memory(Vec<(Segment, usize)>),
    Staged(StagedFile),
}

/// A file in the staging directory, which must be empty in the end: what is not moved away goes when this is dropped.
pub struct StagedFile {
    pub path: PathBuf,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Moved to its place, it is no longer there.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// An entry of the scan with what it is made of.
pub struct ReadEntry {
    pub index: usize,
    pub material: Material,
    /// The clock just before reading; a later change gets a later stamp, a grain apart.
    pub read_at: Moment,
}

/// Memory for contents, and a directory for what does not fit.
pub struct Reader<'tree> {
    source: &'tree Tree,
    staging: PathBuf,
    staged: usize,
    pub memory: Memory,
    directory: Option<(usize, OwnedFd)>,
    links: HashMap<Inode, usize>,
    pub bytes: u64,
}

impl<'tree> Reader<'tree> {
    /// At most `memory` bytes are used for contents.
    pub fn new(source: &'tree Tree, staging: &Path, memory: usize) -> Self {
        Self {
            source,
            staging: staging.to_owned(),
            staged: 0,
            memory: Memory::new(memory),
            directory: None,
            links: HashMap::new(),
            bytes: 0,
        }
    }

    /// A new scan has new indices.
    pub fn begin_scan(&mut self) {
        self.directory = None;
        self.links.clear();
        self.memory.reuse();
        self.bytes = 0;
    }

    /// Reads one entry; `check` is asked between pieces of a long copy.
    pub fn read(
        &mut self,
        scan: &Scan,
        index: usize,
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<ReadEntry> {
        let read_at = Moment::stamped_now();
        let material = match self.material(scan, index, check) {
            Ok(material) => material,
            Err(error) if error.downcast_ref().is_some_and(has_vanished) => {
                // Another name of the inode may still be there.
                self.links.remove(&inode_of(scan.node(index)));
                Material::Vanished
            }
            Err(error) => {
                let path = scan.path(index);
                return Err(error).with_context(|| format!("reading /{}", printable(&path)));
            }
        };
        Ok(ReadEntry {
            index,
            material,
            read_at,
        })
    }

    /// Whether an entry still looks as it did when it was scanned.
    pub fn still_agrees(&mut self, scan: &Scan, index: usize) -> bool {
        let node = scan.node(index);
        let now = self
            .enter(scan, scan.parent(index))
            .and_then(|()| Ok(tree::stat_at(self.parent()?, &node.name)?));
        now.is_ok_and(|stat| Signature::of(&stat).agrees_with(&node.signature))
    }

    fn material(
        &mut self,
        scan: &Scan,
        index: usize,
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Material> {
        let node = scan.node(index);
        if let Some(first) = self.first_link(node, index) {
            return Ok(Material::Link(first));
        }
        self.enter(scan, scan.parent(index))?;
        Ok(match node.kind {
            Kind::Directory => directory_material(&self.open_checked(node)?)?,
            Kind::File => self.file_material(node, check)?,
            Kind::Symlink => self.symlink_material(node)?,
            Kind::Whiteout => Material::Whiteout,
            Kind::Special => Material::Special {
                capability: self.capability(node)?,
            },
        })
    }

    /// The entry that was read first of those that share an inode.
    fn first_link(&mut self, node: &Node, index: usize) -> Option<usize> {
        if !node.has_other_links() {
            return None;
        }
        let first = *self.links.entry(inode_of(node)).or_insert(index);
        (first != index).then_some(first)
    }

    fn enter(&mut self, scan: &Scan, directory: usize) -> Result<()> {
        if self
            .directory
            .as_ref()
            .is_none_or(|(open, _)| *open != directory)
        {
            let path = if directory == ROOT {
                Vec::new()
            } else {
                scan.path(directory)
            };
            self.directory = Some((directory, self.source.directory(&path)?));
        }
        Ok(())
    }

    fn parent(&self) -> io::Result<BorrowedFd<'_>> {
        let open = self.directory.as_ref();
        open.map(|(_, directory)| directory.as_fd())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Opens an entry, if it still is the inode that was scanned.
    fn open_checked(&self, node: &Node) -> Result<OwnedFd> {
        let file = tree::open_at(self.parent()?, &node.name, |stat| {
            let now = Signature::of(stat);
            now.inode == node.signature.inode
                && now.device == node.signature.device
                && now.file_type() == node.signature.file_type()
        });
        Ok(file?)
    }

    fn symlink_material(&self, node: &Node) -> Result<Material> {
        let name = std::ffi::OsStr::from_bytes(&node.name);
        let target = match rustix::fs::readlinkat(self.parent()?, name, Vec::new()) {
            Ok(target) => target.into_bytes(),
            // It is no link any more.
            Err(Errno::INVAL) => return Err(io::Error::from(Errno::NOENT).into()),
            Err(error) => return Err(io::Error::from(error).into()),
        };
        Ok(Material::Symlink {
            target,
            capability: self.capability(node)?,
        })
    }

    /// That of an entry which cannot be opened.
    fn capability(&self, node: &Node) -> io::Result<Option<Vec<u8>>> {
        file::attribute_at(self.parent()?, &node.name, CAPABILITY_ATTRIBUTE)
    }

    fn file_material(
        &mut self,
        node: &Node,
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Material> {
        let file = self.open_checked(node)?;
        refuse_merged_only(file.as_fd())?;
        let size = node.signature.size;
        if size == 0 && file::attribute(file.as_fd(), WHITEOUT_ATTRIBUTE)?.is_some() {
            return Ok(Material::Whiteout);
        }
        let capability = file::attribute(file.as_fd(), CAPABILITY_ATTRIBUTE)?;
        let segments = file::segments(file.as_fd(), size)?;
        let data: u64 = segments.iter().map(|segment| segment.length).sum();
        let content = if data <= self.memory.room().min(LARGEST_IN_MEMORY) {
            self.read_into_memory(file.as_fd(), &segments)?
        } else {
            self.stage(file.as_fd(), &segments, check)?
        };
        // A file that shrank is short; one that grew is cut.
        let size = size.min(tree::stat(file.as_fd())?.stx_size);
        Ok(Material::File(FileMaterial {
            size,
            capability,
            content,
        }))
    }

    fn read_into_memory(&mut self, file: BorrowedFd<'_>, segments: &[Segment]) -> Result<Content> {
        let mut pieces = Vec::with_capacity(segments.len());
        for &Segment { offset, length } in segments {
            let (start, length) = self.memory.read(file, offset, length)?;
            pieces.push((Segment { offset, length }, start));
            self.bytes += length;
        }
        Ok(Content::Memory(pieces))
    }

    fn stage(
        &mut self,
        file: BorrowedFd<'_>,
        segments: &[Segment],
        check: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Content> {
        self.staged += 1;
        let path = self.staging.join(format!("freezeframe-{}", self.staged));
        let target = File::create_new(&path)
            .with_context(|| format!("creating the staging file {}", path.display()))?;
        let staged = StagedFile { path };
        for segment in segments {
            self.bytes += file::copy_segment(file, target.as_fd(), *segment, check)?;
        }
        Ok(Content::Staged(staged))
    }
}

/// Major and minor number of the device, and the number on it.
type Inode = (u32, u32, u64);

fn inode_of(node: &Node) -> Inode {
    let Signature { device, inode, .. } = node.signature;
    (device.0, device.1, inode)
}

fn directory_material(directory: &OwnedFd) -> Result<Material> {
    refuse_merged_only(directory.as_fd())?;
    let opaque = file::attribute(directory.as_fd(), OPAQUE_ATTRIBUTE)?;
    Ok(Material::Directory {
        // "x" marks a directory with whiteouts in extended attributes, which hides nothing by itself.
        opaque: opaque.is_some_and(|value| value == b"y"),
        capability: file::attribute(directory.as_fd(), CAPABILITY_ATTRIBUTE)?,
    })
}

/// The upper directory does not hold all of an entry: what it lacks is in the merged view, which the differ reads.
#[derive(Debug)]
pub struct MergedOnly(&'static str);

impl std::fmt::Display for MergedOnly {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "overlayfs keeps part of it in a lower layer ({})",
            self.0
        )
    }
}

impl std::error::Error for MergedOnly {}

fn refuse_merged_only(file: BorrowedFd<'_>) -> Result<()> {
    for name in MERGED_ONLY {
        anyhow::ensure!(file::attribute(file, name)?.is_none(), MergedOnly(name));
    }
    Ok(())
}
