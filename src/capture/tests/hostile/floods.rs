//! Very many of something.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use harness::{Disk, FileSystem};
use rustix::fs::{XattrFlags, llistxattr, lsetxattr};

use super::super::PROVEN;
use super::super::place::{NOBODY, Place, disk};
use crate::capture::scan::Scan;
use crate::system::tree::Tree;

const MANY_NAMES: usize = 20_000;
/// Room for the inodes of a million files, twice.
const LARGE_DISK: u64 = 48 << 10;
/// They have some 30 KB each; the memory is for as much as a quarter of them has, or for a megabyte for each processor.
const MANY_FILES: usize = 800;
const MOST_MEMORY: u64 = 8 << 20;
const MOST_ATTRIBUTES: usize = 2_000;
const LARGEST_VALUE: usize = 64 << 10;

#[test]
fn very_many_names_in_one_directory_are_cloned() {
    names_in_one_directory_are_cloned(FileSystem::Ext4, MANY_NAMES);
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn a_million_names_in_one_directory_are_cloned() {
    for file_system in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
        names_in_one_directory_are_cloned(file_system, 1_000_000);
    }
}

fn names_in_one_directory_are_cloned(file_system: FileSystem, count: usize) {
    let disk = Disk::of_size(file_system, LARGE_DISK).unwrap();
    let place = Place::on(&disk);
    let folder = place.path("folder");
    fs::create_dir(&folder).unwrap();
    File::create(folder.join("first")).unwrap();
    for index in 1..count {
        File::create(folder.join(index.to_string())).unwrap();
    }
    place.let_all_grow_old();
    let source = place.tree();
    let mut clone = place.begin(&source, &[]);
    assert_eq!(
        clone.scan.entries().count(),
        count + 2,
        "with the folder and a file beside it"
    );
    clone.copy_scanned(NOBODY).unwrap();
    fs::remove_file(folder.join("first")).unwrap();
    fs::write(folder.join("7"), "seven").unwrap();
    let delta = clone.read_delta(&|| Ok(())).unwrap();
    assert_eq!(delta.bytes, 5, "of the one that changed");
    clone.apply(delta).unwrap();
    clone.complete().unwrap();
    let cloned = Tree::open(&place.replica()).unwrap();
    let cloned = Scan::of(&cloned).unwrap();
    assert_eq!(cloned.entries().count(), count + 1);
}

#[test]
fn of_small_files_more_is_read_under_the_freeze_than_memory_has_room_for() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let write = |count: usize, seed: usize| {
            for index in 0..count {
                let content = format!("{seed} {index}\n").repeat(index % 97 * 100);
                fs::write(place.path(&index.to_string()), content).unwrap();
            }
        };
        write(MANY_FILES / 4, 1);
        place.let_all_grow_old();
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        write(MANY_FILES, 2);
        File::create(place.path("sparse"))
            .and_then(|sparse| sparse.write_all_at(b"end", 32 << 10))
            .unwrap();
        clone.rehearse().unwrap();
        write(MANY_FILES, 3);
        let delta = clone.read_delta(&|| Ok(())).unwrap();
        assert!(delta.bytes > MOST_MEMORY, "{}", delta.bytes);
        clone.apply(delta).unwrap();
        place.assert_nothing_staged();
        place.complete(clone);
    }
}

#[test]
fn a_flood_of_attributes_is_left_out() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        for name in ["file", "folder/below"] {
            fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
            fs::write(place.path(name), "content").unwrap();
        }
        for name in ["file", "folder"] {
            assert!(flood(&place.path(name)) > 3);
        }
        place.capture(
            |_| {},
            |source| assert!(flood(&source.join("folder/below")) > 3),
        );
        for name in ["file", "folder", "folder/below"] {
            let length = llistxattr(place.replica().join(name), &mut [0; 0][..]);
            assert_eq!(length, Ok(0), "{name}");
        }
    }
}

/// As many attributes, and as large ones, as the file system takes; returns how many.
fn flood(path: &Path) -> usize {
    let value = vec![b'x'; LARGEST_VALUE];
    let sizes = [LARGEST_VALUE, 1000, 1].into_iter();
    sizes
        .map(|size| {
            let set = |index: &usize| {
                let name = format!("user.flood-{size}-{index}");
                lsetxattr(path, name, &value[..size], XattrFlags::empty()).is_ok()
            };
            (0..MOST_ATTRIBUTES / 3).take_while(set).count()
        })
        .sum()
}
