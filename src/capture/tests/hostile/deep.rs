//! Directories within directories.

use std::fs;
use std::os::fd::OwnedFd;

use harness::FileSystem;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};

use super::super::place::{Place, disk};
use crate::capture::scan::Scan;

/// With what a path needs to get there, just shorter than the kernel takes.
const AS_DEEP_AS_A_PATH: usize = 1900;
const DEEPER_THAN_ANY_PATH: usize = 10_000;

#[test]
fn a_tree_as_deep_as_a_path_can_be_is_cloned() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    let bottom = dig(&place, AS_DEEP_AS_A_PATH);
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let file = openat(&bottom, "f", flags, Mode::RUSR).unwrap();
    rustix::io::write(&file, b"content").unwrap();
    place.capture(
        |_| {},
        |source| fs::write(source.join("d/new"), "").unwrap(),
    );
}

/// No image could be unpacked with it; stock's walk fails on it as well.
#[test]
fn a_tree_deeper_than_any_path_is_refused() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    dig(&place, DEEPER_THAN_ANY_PATH);
    let refusal = Scan::of(&place.tree()).err().unwrap();
    let message = format!("{refusal:#}");
    assert!(message.contains("more than 4,095 bytes"), "{message}");
    assert!(message.len() < 1000, "{message}");
}

/// Makes so many directories, each in the one before; returns the last.
fn dig(place: &Place, levels: usize) -> OwnedFd {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = openat(CWD, place.source(), flags, Mode::empty()).unwrap();
    (0..levels).fold(top, |above, _| {
        mkdirat(&above, "d", Mode::RWXU).unwrap();
        openat(&above, "d", flags, Mode::empty()).unwrap()
    })
}
