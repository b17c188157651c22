//! Entries of the clone, each made whole: data, owner, mode, extended attributes, times, in this order, since each may
//! undo the ones after it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, fchmod,
    fchown, futimens, mkdirat, mknodat, openat, renameat, utimensat,
};

use super::material::{Content, FileMaterial, PatchData};
use super::memory::{Memory, Piece};
use super::overlay_attributes::OPAQUE_ATTRIBUTE;
use super::signature::Signature;
use crate::system::attributes::{self, CAPABILITY_ATTRIBUTE};
use crate::system::file;

pub fn make_directory(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    opaque: bool,
    capability: Option<&[u8]>,
) -> Result<()> {
    match mkdirat(parent, name, Mode::RWXU) {
        Err(rustix::io::Errno::EXIST) => {}
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(parent, name, flags, Mode::empty())?;
    let opaque: Option<&[u8]> = opaque.then_some(b"y");
    for (attribute, value) in [
        (OPAQUE_ATTRIBUTE, opaque),
        (CAPABILITY_ATTRIBUTE, capability),
    ] {
        if let Some(value) = value {
            attributes::set(directory.as_fd(), attribute, value)?;
        } else {
            attributes::remove(directory.as_fd(), attribute)?;
        }
    }
    Ok(())
}

pub fn make_file(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    signature: &Signature,
    material: &FileMaterial,
    memory: &Memory,
) -> Result<()> {
    let file = put_content(parent, name, &material.content, memory)?;
    if written(&material.content) != Some(material.size) {
        rustix::fs::ftruncate(&file, material.size)?;
    }
    // This takes from a file what capability it had (capabilities(7)).
    fchown(&file, Some(uid(signature)), Some(gid(signature)))?;
    fchmod(&file, Mode::from_raw_mode(signature.permissions()))?;
    if let Some(capability) = &material.capability {
        attributes::set(file.as_fd(), CAPABILITY_ATTRIBUTE, capability)?;
    }
    Ok(futimens(&file, &times(signature))?)
}

/// The size that a file has by what was written into it, where that is known.
fn written(content: &Content) -> Option<u64> {
    match content {
        // What was cut off before it could be read left an empty piece.
        Content::Memory(pieces) => {
            let last = pieces.iter().rfind(|piece| piece.length > 0);
            Some(last.map_or(0, |piece| piece.offset + piece.length as u64))
        }
        Content::Staged(_) | Content::Patch { .. } => None,
    }
}

fn put_content(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    content: &Content,
    memory: &Memory,
) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || openat(parent, name, flags, Mode::empty());
    Ok(match content {
        Content::Staged(staged) => {
            renameat(CWD, &staged.path, parent, name)?;
            open()?
        }
        Content::Memory(pieces) => {
            let flags = flags | OFlags::CREATE | OFlags::EXCL;
            let file = openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
            write_pieces(file.as_fd(), pieces, memory)?;
            file
        }
        Content::Patch { data, holes } => {
            let file = open()?;
            for hole in holes {
                file::punch(file.as_fd(), *hole)?;
            }
            match data {
                PatchData::Memory(pieces) => write_pieces(file.as_fd(), pieces, memory)?,
                PatchData::Staged(staged, segments) => {
                    let staged = File::open(&staged.path)?;
                    for segment in segments {
                        file::copy_segment(staged.as_fd(), file.as_fd(), *segment, &|| Ok(()))?;
                    }
                }
            }
            file
        }
    })
}

fn write_pieces(file: BorrowedFd<'_>, pieces: &[Piece], memory: &Memory) -> io::Result<()> {
    pieces
        .iter()
        .try_for_each(|piece| memory.write(*piece, file))
}

pub fn make_node(parent: BorrowedFd<'_>, name: &OsStr, mode: u32, node: (u32, u32)) -> Result<()> {
    let kind = rustix::fs::FileType::from_raw_mode(mode);
    let device = rustix::fs::makedev(node.0, node.1);
    Ok(mknodat(parent, name, kind, Mode::empty(), device)?)
}

/// overlayfs's, which is owned by root and has no mode.
pub fn make_whiteout(parent: BorrowedFd<'_>, name: &OsStr) -> Result<()> {
    make_node(
        parent,
        name,
        FileType::CharacterDevice.as_raw_mode(),
        (0, 0),
    )
}

/// For what cannot be opened. The mode of a symbolic link cannot be set.
pub fn set_attributes_at(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    signature: &Signature,
    capability: Option<&[u8]>,
) -> Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    let (owner, group) = (uid(signature), gid(signature));
    chownat(parent, name, Some(owner), Some(group), flags)?;
    if signature.file_type() != FileType::Symlink {
        let mode = Mode::from_raw_mode(signature.permissions());
        chmodat(parent, name, mode, AtFlags::empty())?;
    }
    if let Some(capability) = capability {
        attributes::set_at(parent, name.as_bytes(), CAPABILITY_ATTRIBUTE, capability)?;
    }
    Ok(utimensat(parent, name, &times(signature), flags)?)
}

pub fn set_directory_attributes(directory: &OwnedFd, signature: &Signature) -> io::Result<()> {
    fchown(directory, Some(uid(signature)), Some(gid(signature)))?;
    fchmod(directory, Mode::from_raw_mode(signature.permissions()))?;
    Ok(futimens(directory, &times(signature))?)
}

fn uid(signature: &Signature) -> Uid {
    Uid::from_raw(signature.owner)
}

fn gid(signature: &Signature) -> Gid {
    Gid::from_raw(signature.group)
}

/// Whole seconds, as a layer has them, and no others than containerd sets when it applies one: it takes negative ones, and
/// those that Go's 64-bit nanoseconds do not reach, for 0 (pkg/archive, `boundTime`).
fn times(signature: &Signature) -> Timestamps {
    let seconds = signature.modified.seconds().filter(|seconds| *seconds >= 0);
    whole_seconds(seconds.unwrap_or(0))
}

/// Gives a directory the time that it has in a lower layer.
pub fn set_time(directory: &OwnedFd, seconds: i64) -> io::Result<()> {
    Ok(futimens(directory, &whole_seconds(seconds))?)
}

fn whole_seconds(seconds: i64) -> Timestamps {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::Place;
    use super::*;

    #[test]
    fn only_what_is_written_makes_a_size() {
        let piece = |offset, length| Piece {
            offset,
            place: Place::Memory(0),
            length,
        };
        let size = |pieces| written(&Content::Memory(pieces));
        assert_eq!(size(Vec::new()), Some(0));
        assert_eq!(size(vec![piece(0, 10), piece(4096, 7)]), Some(4103));
        assert_eq!(size(vec![piece(0, 10), piece(4096, 0)]), Some(10));
    }
}
