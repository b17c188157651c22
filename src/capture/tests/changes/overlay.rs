//! What overlayfs itself changes in an upper directory, and device nodes, which look like its whiteouts.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use harness::FileSystem;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lremovexattr, lsetxattr, makedev, mknodat};

use super::{Change, directory, remove, rename, write};
use crate::capture::overlay_attributes::{OPAQUE_ATTRIBUTE, WHITEOUT_ATTRIBUTE};
use crate::capture::tests::place::{NOBODY, Place, disk};

pub const CHANGES: [Change; 10] = [
    Change {
        name: "whiteout",
        before: |folder| write(folder, "kept", ""),
        apply: |folder| whiteout(folder, "gone"),
        back: |folder| remove(folder, "gone"),
    },
    Change {
        name: "file-that-became-a-whiteout",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| {
            remove(folder, "file");
            whiteout(folder, "file");
        },
        back: |folder| {
            remove(folder, "file");
            write(folder, "file", "two");
        },
    },
    Change {
        name: "directory-that-became-a-whiteout",
        before: |folder| directory(folder, "a"),
        apply: |folder| {
            remove(folder, "a");
            whiteout(folder, "a");
        },
        back: |folder| {
            remove(folder, "a");
            directory(folder, "a");
            set_opaque(folder, "a", b"y");
        },
    },
    Change {
        name: "whiteouts-of-one-inode",
        before: |folder| whiteout(folder, "first"),
        apply: |folder| fs::hard_link(folder.join("first"), folder.join("second")).unwrap(),
        back: |folder| {
            remove(folder, "first");
            rename(folder, "second", "first");
        },
    },
    Change {
        name: "whiteout-that-moved",
        before: |folder| whiteout(folder, "first"),
        apply: |folder| rename(folder, "first", "second"),
        back: |folder| rename(folder, "second", "first"),
    },
    Change {
        name: "directory-that-became-opaque",
        before: |folder| directory(folder, "a"),
        apply: |folder| set_opaque(folder, "a", b"y"),
        back: |folder| lremovexattr(folder.join("a"), OPAQUE_ATTRIBUTE).unwrap(),
    },
    Change {
        name: "directory-that-became-transparent",
        before: |folder| {
            directory(folder, "a");
            set_opaque(folder, "a", b"y");
        },
        apply: |folder| set_opaque(folder, "a", b"x"),
        back: |folder| set_opaque(folder, "a", b"y"),
    },
    Change {
        name: "opaque-directory-in-anothers-place",
        before: |folder| {
            directory(folder, "a");
            directory(folder, "b");
            set_opaque(folder, "b/below", b"y");
        },
        apply: |folder| {
            remove(folder, "a");
            rename(folder, "b", "a");
        },
        back: |folder| {
            rename(folder, "a", "b");
            directory(folder, "a");
        },
    },
    Change {
        name: "device-that-became-another",
        before: |folder| device(folder, FileType::CharacterDevice, 5),
        apply: |folder| {
            remove(folder, "device");
            device(folder, FileType::CharacterDevice, 3);
        },
        back: |folder| {
            remove(folder, "device");
            device(folder, FileType::BlockDevice, 5);
        },
    },
    Change {
        name: "fifo-that-became-a-file",
        before: |folder| device(folder, FileType::Fifo, 0),
        apply: |folder| {
            remove(folder, "device");
            write(folder, "device", "one");
        },
        back: |folder| {
            remove(folder, "device");
            device(folder, FileType::Fifo, 0);
        },
    },
];

/// overlayfs's other form of whiteouts (kernel: filesystems/overlayfs.rst, "Whiteouts and opaque directories"): an empty
/// file, which has no copy to be compared with.
#[test]
fn a_whiteout_that_is_a_file_is_one_where_signatures_are_not_trusted() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    write(&place.source(), "gone", "");
    let path = place.path("gone");
    lsetxattr(path, WHITEOUT_ATTRIBUTE, b"y", XattrFlags::empty()).unwrap();
    let source = place.tree();
    let mut clone = place.begin_distrusting(&source);
    clone.copy_scanned(NOBODY).unwrap();
    let delta = clone.read_delta(&|| Ok(())).unwrap();
    clone.apply(delta).unwrap();
    clone.complete().unwrap();
    let made = fs::symlink_metadata(place.replica().join("gone")).unwrap();
    assert!(made.file_type().is_char_device() && made.rdev() == 0);
}

pub fn whiteout(folder: &Path, name: &str) {
    let (kind, device) = (FileType::CharacterDevice, makedev(0, 0));
    mknodat(CWD, folder.join(name), kind, Mode::empty(), device).unwrap();
}

fn device(folder: &Path, kind: FileType, minor: u32) {
    let (path, mode) = (folder.join("device"), Mode::RUSR | Mode::WUSR);
    mknodat(CWD, path, kind, mode, makedev(1, minor)).unwrap();
}

fn set_opaque(folder: &Path, name: &str, value: &[u8]) {
    let path = folder.join(name);
    lsetxattr(path, OPAQUE_ATTRIBUTE, value, XattrFlags::empty()).unwrap();
}
