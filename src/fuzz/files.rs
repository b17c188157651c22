//! What the kernel and other commits tell in files.

use std::os::unix::ffi::OsStrExt;
use std::path::Component;

use super::{split, texts};
use crate::capture::writers::{Writers, inode, is_direct_and_writable};
use crate::freeze::{Cgroup, Version};
use crate::system::identity::ProcessIdentity;
use crate::system::mounts::{parse, unescape};

/// `/proc/PID/mountinfo`.
pub fn mounts(bytes: &[u8]) {
    for line in bytes.split(|byte| *byte == b'\n') {
        if let Some(mount) = parse(line) {
            mount.option("upperdir");
            mount.has_option("userxattr");
        }
    }
    assert_eq!(unescape(&escaped(bytes)).as_bytes(), bytes);
}

/// As the kernel has paths in mountinfo (its `fs/proc_namespace.c`).
fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => escaped.extend(format!("\\{byte:03o}").bytes()),
            _ => escaped.push(*byte),
        }
    }
    escaped
}

/// Lines of `/proc/PID/maps`, and a file below `/proc/PID/fdinfo`.
pub fn writers(bytes: &[u8]) {
    let mut writers = Writers::default();
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.for_each(|line| writers.add_mapping(line));
    let information = String::from_utf8_lossy(bytes);
    is_direct_and_writable(&information);
    inode(&information);
}

/// `/proc/PID/cgroup`, `/proc/self/mountinfo`, an ID and a `cgroupsPath`; what the freezer's files say.
pub fn cgroup(bytes: &[u8]) {
    let texts = texts(bytes);
    for version in [Version::One, Version::Two] {
        version.says_frozen(&texts[0]);
    }
    let [membership, mounts, id, cgroups_path, ..] = &texts[..] else {
        return;
    };
    let mounts: Vec<_> = mounts
        .lines()
        .filter_map(|line| parse(line.as_bytes()))
        .collect();
    let cgroups_path = Some(&**cgroups_path).filter(|path| !path.is_empty());
    if let Some(cgroup) = Cgroup::locate(&mounts, membership, id, cgroups_path) {
        let below = |mount: &Component| matches!(mount, Component::Normal(_));
        let shows = |mount: &crate::system::mounts::MountEntry| {
            let part = cgroup.directory.strip_prefix(&mount.mount_point);
            part.is_ok_and(|part| part.components().all(|component| below(&component)))
        };
        assert!(mounts.iter().any(shows), "{}", cgroup.directory.display());
    }
}

/// The identities of processes in a mark and in a lease's label.
pub fn mark(bytes: &[u8]) {
    for line in split(bytes) {
        ProcessIdentity::is_known_to_be_gone(&String::from_utf8_lossy(line));
    }
}
