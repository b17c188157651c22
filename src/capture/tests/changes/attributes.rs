//! What changes attributes alone.

use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{XattrFlags, lremovexattr, lsetxattr};

use super::{Change, directory, remove, write};
use crate::system::attributes::CAPABILITY_ATTRIBUTE;

/// `vfs_cap_data` of linux/capability.h: revision 2, effective, `CAP_NET_BIND_SERVICE`.
const ONE_CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// The same with `CAP_NET_RAW`.
const OTHER_CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

pub const CHANGES: [Change; 8] = [
    Change {
        name: "mode",
        before: file_and_directory,
        apply: |folder| modes(folder, 0o4750, 0o1777),
        back: |folder| modes(folder, 0o644, 0o755),
    },
    Change {
        name: "owner",
        before: |folder| {
            file_and_directory(folder);
            symlink("nowhere", folder.join("link")).unwrap();
        },
        apply: |folder| owners(folder, 1234),
        back: |folder| owners(folder, 0),
    },
    Change {
        name: "owner-that-takes-the-special-bits",
        before: |folder| {
            write(folder, "file", "one");
            mode(&folder.join("file"), 0o6755);
        },
        apply: |folder| chown(folder.join("file"), Some(1), Some(1)).unwrap(),
        back: |folder| mode(&folder.join("file"), 0o6755),
    },
    Change {
        name: "times",
        before: file_and_directory,
        apply: |folder| times(folder, 1_000_000_000),
        back: |folder| times(folder, 1_000_000_007),
    },
    Change {
        name: "capability",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| set(folder, CAPABILITY_ATTRIBUTE, ONE_CAPABILITY),
        back: |folder| lremovexattr(folder.join("file"), CAPABILITY_ATTRIBUTE).unwrap(),
    },
    Change {
        name: "another-capability",
        before: |folder| {
            write(folder, "file", "one");
            set(folder, CAPABILITY_ATTRIBUTE, ONE_CAPABILITY);
        },
        apply: |folder| set(folder, CAPABILITY_ATTRIBUTE, OTHER_CAPABILITY),
        back: |folder| set(folder, CAPABILITY_ATTRIBUTE, ONE_CAPABILITY),
    },
    Change {
        name: "capability-lost-by-a-write",
        before: |folder| {
            write(folder, "file", "one");
            set(folder, CAPABILITY_ATTRIBUTE, ONE_CAPABILITY);
        },
        apply: |folder| write(folder, "file", "two"),
        back: |folder| set(folder, CAPABILITY_ATTRIBUTE, ONE_CAPABILITY),
    },
    Change {
        name: "attribute-that-no-layer-has",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| set(folder, "user.note", b"note"),
        back: |folder| {
            remove(folder, "file");
            write(folder, "file", "one");
        },
    },
];

fn file_and_directory(folder: &Path) {
    write(folder, "file", "one");
    directory(folder, "directory");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn modes(folder: &Path, file: u32, directory: u32) {
    mode(&folder.join("file"), file);
    mode(&folder.join("directory/below"), directory);
}

fn owners(folder: &Path, owner: u32) {
    for name in ["file", "directory/below", "link"] {
        std::os::unix::fs::lchown(folder.join(name), Some(owner), Some(owner + 1)).unwrap();
    }
}

fn times(folder: &Path, seconds: u64) {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    for name in ["file", "directory/below"] {
        let opened = File::open(folder.join(name)).unwrap();
        opened
            .set_times(FileTimes::new().set_modified(time))
            .unwrap();
    }
}

fn set(folder: &Path, name: &str, value: &[u8]) {
    lsetxattr(folder.join("file"), name, value, XattrFlags::empty()).unwrap();
}
