//! A described tree, made on a disk.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    linkat, lsetxattr, makedev, mknodat, utimensat,
};

use super::description::{Description, Inode, Kind};
use crate::system::attributes::CAPABILITY_ATTRIBUTE;

pub fn make(description: &Description, root: &Path) {
    let mut first_names: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for (path, number) in in_order(description) {
        let path = root.join(OsStr::from_bytes(path));
        if let Some(first) = first_names.get(&number) {
            linkat(CWD, first, CWD, &path, AtFlags::empty()).unwrap();
            continue;
        }
        make_inode(&path, &description.inodes[number]);
        first_names.insert(number, path);
    }
    // What is made in a directory moves its times.
    for (path, number) in in_order(description).into_iter().rev() {
        let path = root.join(OsStr::from_bytes(path));
        set_attributes(&path, &description.inodes[number]);
    }
}

/// Directories before what is in them.
fn in_order(description: &Description) -> Vec<(&[u8], usize)> {
    let names = description.names.iter();
    names
        .map(|(path, number)| (path.as_slice(), *number))
        .collect()
}

fn make_inode(path: &Path, inode: &Inode) {
    let node = |kind, device| mknodat(CWD, path, kind, Mode::RUSR, device).unwrap();
    match &inode.kind {
        Kind::Directory => fs::create_dir(path).unwrap(),
        Kind::File { content, .. } => fs::write(path, content).unwrap(),
        Kind::Symlink(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
        Kind::Device {
            is_block,
            node: (major, minor),
        } => {
            let kind = if *is_block {
                FileType::BlockDevice
            } else {
                FileType::CharacterDevice
            };
            node(kind, makedev(*major, *minor));
        }
        Kind::Fifo => node(FileType::Fifo, 0),
        Kind::Socket => node(FileType::Socket, 0),
        Kind::Whiteout => node(FileType::CharacterDevice, makedev(0, 0)),
    }
}

fn set_attributes(path: &Path, inode: &Inode) {
    let (owner, group) = (Uid::from_raw(inode.owner), Gid::from_raw(inode.group));
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    chownat(CWD, path, Some(owner), Some(group), flags).unwrap();
    if !matches!(inode.kind, Kind::Symlink(_)) {
        let mode = Mode::from_raw_mode(inode.mode.into());
        chmodat(CWD, path, mode, AtFlags::empty()).unwrap();
    }
    let set = |name, value: &[u8]| lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
    if let Kind::File {
        capability: Some(capability),
        ..
    } = &inode.kind
    {
        set(CAPABILITY_ATTRIBUTE, capability);
    }
    let time = Timespec {
        tv_sec: i64::try_from(inode.modified).unwrap(),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    utimensat(CWD, path, &times, flags).unwrap();
}
