//! Entries of the clone, each made whole: data, owner, mode, extended attributes, times, in this order, since each may
//! undo the ones after it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use anyhow::Result;
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, chmodat, chownat, fchmod,
    fchown, futimens, mkdirat, mknodat, openat, renameat, utimensat,
};

use super::material::{CAPABILITY_ATTRIBUTE, Content, FileMaterial, OPAQUE_ATTRIBUTE};
use super::scan::Node;
use super::signature::Signature;
use crate::system::file;

/// In seconds: the latest time that Go's nanoseconds reach. containerd applies later ones, and negative ones, as 0
/// (pkg/archive, `boundTime`).
const LATEST_TIME: i64 = i64::MAX / 1_000_000_000;

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
            file::set_attribute(directory.as_fd(), attribute, value)?;
        } else if file::attribute(directory.as_fd(), attribute)?.is_some() {
            rustix::fs::fremovexattr(&directory, attribute)?;
        }
    }
    Ok(())
}

pub fn make_file(
    parent: BorrowedFd<'_>,
    name: &OsStr,
    signature: &Signature,
    material: &FileMaterial,
    memory: &[u8],
) -> Result<()> {
    let file: OwnedFd = match &material.content {
        Content::Staged(staged) => {
            renameat(rustix::fs::CWD, &staged.path, parent, name)?;
            let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(parent, name, flags, Mode::empty())?
        }
        Content::Memory(pieces) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
            for (segment, start) in pieces {
                let end = start + usize::try_from(segment.length).unwrap_or(0);
                file::write_at(file.as_fd(), &memory[*start..end], segment.offset)?;
            }
            file
        }
    };
    rustix::fs::ftruncate(&file, material.size)?;
    fchown(&file, Some(uid(signature)), Some(gid(signature)))?;
    fchmod(&file, Mode::from_raw_mode(signature.permissions()))?;
    if let Some(capability) = &material.capability {
        file::set_attribute(file.as_fd(), CAPABILITY_ATTRIBUTE, capability)?;
    }
    Ok(futimens(&file, &times(signature))?)
}

pub fn make_node(parent: BorrowedFd<'_>, name: &OsStr, mode: u32, node: (u32, u32)) -> Result<()> {
    let kind = rustix::fs::FileType::from_raw_mode(mode);
    let device = rustix::fs::makedev(node.0, node.1);
    Ok(mknodat(parent, name, kind, Mode::empty(), device)?)
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
        file::set_attribute_at(parent, name.as_bytes(), CAPABILITY_ATTRIBUTE, capability)?;
    }
    Ok(utimensat(parent, name, &times(signature), flags)?)
}

pub fn set_directory_attributes(directory: &OwnedFd, node: &Node) -> io::Result<()> {
    fchown(
        directory,
        Some(uid(&node.signature)),
        Some(gid(&node.signature)),
    )?;
    fchmod(directory, Mode::from_raw_mode(node.signature.permissions()))?;
    Ok(futimens(directory, &times(&node.signature))?)
}

fn uid(signature: &Signature) -> Uid {
    Uid::from_raw(signature.owner)
}

fn gid(signature: &Signature) -> Gid {
    Gid::from_raw(signature.group)
}

/// Whole seconds, as a layer has them, and no others than containerd sets when it applies one.
fn times(signature: &Signature) -> Timestamps {
    let seconds = signature.modified.seconds();
    let is_kept = (0..=LATEST_TIME).contains(&seconds);
    whole_seconds(if is_kept { seconds } else { 0 })
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
