//! Reading a tree: lstat, content and extended attributes of everything below a root.
//!
//! Folders on which something else is mounted are no part of it (only folders tell: on
//! overlay a file may have the device number of its layer).

use super::{Entry, Kind, Tree};
use crate::Result;
use crate::image::digest;
use anyhow::{Context, bail};
use rustix::fs::{lgetxattr, llistxattr, major, minor};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

impl Tree {
    pub fn read(root: &Path) -> Result<Self> {
        let device = fs::metadata(root)?.dev();
        let mut entries = BTreeMap::new();
        let mut groups: BTreeMap<(u64, u64), Vec<OsString>> = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for path in children(&folder)? {
                let metadata = fs::symlink_metadata(&path)?;
                let name = path.strip_prefix(root)?.as_os_str().to_owned();
                if metadata.is_dir() && metadata.dev() != device {
                    continue;
                }
                if metadata.is_dir() {
                    folders.push(path.clone());
                } else if metadata.nlink() > 1 {
                    let inode = (metadata.dev(), metadata.ino());
                    groups.entry(inode).or_default().push(name.clone());
                }
                let entry = entry(&path, &metadata);
                entries.insert(name, entry.with_context(|| path.display().to_string())?);
            }
        }
        groups
            .into_values()
            .for_each(|group| link(&mut entries, group));
        Ok(Self { entries })
    }
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// A name may be alone in the tree and linked from outside: that is no group.
fn link(entries: &mut BTreeMap<OsString, Entry>, mut group: Vec<OsString>) {
    group.sort();
    if group.len() < 2 {
        return;
    }
    for name in &group {
        if let Some(entry) = entries.get_mut(name) {
            entry.linked_to = Some(group[0].clone());
        }
    }
}

fn entry(path: &Path, metadata: &Metadata) -> Result<Entry> {
    Ok(Entry {
        kind: kind(path, metadata)?,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        mtime: metadata.mtime(),
        linked_to: None,
        xattrs: xattrs(path)?,
    })
}

fn kind(path: &Path, metadata: &Metadata) -> Result<Kind> {
    let device = metadata.rdev();
    Ok(match metadata.file_type() {
        kind if kind.is_file() => file(path)?,
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_symlink() => Kind::Symlink(fs::read_link(path)?.into_os_string()),
        kind if kind.is_char_device() => Kind::CharacterDevice(major(device), minor(device)),
        kind if kind.is_block_device() => Kind::BlockDevice(major(device), minor(device)),
        kind if kind.is_fifo() => Kind::Fifo,
        kind if kind.is_socket() => Kind::Socket,
        kind => bail!("a file of type {kind:?}"),
    })
}

fn file(path: &Path) -> Result<Kind> {
    let content = fs::read(path)?;
    Ok(Kind::File {
        size: content.len() as u64,
        sha256: digest(&content),
    })
}

/// All but overlay's own notes, which say how the tree is stored and not what it is.
fn xattrs(path: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut names = vec![0; XATTR_LIMIT];
    let length = llistxattr(path, &mut names)?;
    let names = String::from_utf8(names[..length].to_vec())?;
    let of_overlay = |name: &str| name.contains(".overlay.");
    let names = names
        .split_terminator('\0')
        .filter(|name| !of_overlay(name));
    names
        .map(|name| Ok((name.to_owned(), xattr(path, name)?)))
        .collect()
}

fn xattr(path: &Path, name: &str) -> Result<Vec<u8>> {
    let mut value = vec![0; XATTR_LIMIT];
    let length = lgetxattr(path, name, &mut value)?;
    value.truncate(length);
    Ok(value)
}

/// The kernel's limit for a list of names and for a value.
const XATTR_LIMIT: usize = 64 << 10;
