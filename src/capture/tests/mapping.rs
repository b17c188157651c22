//! Stores through a shared mapping: only the first one to a clean page moves the change time.

use std::fs::{self, File};

use harness::FileSystem;

use super::PROVEN;
use super::place::{NOBODY, Place, disk};
use crate::capture::material::Reader;
use crate::capture::signature::Kind;
use crate::freeze::HOLD_BOUND;
use crate::system::memory::SharedMapping;

/// Several pages, and more than one folio.
const LENGTH: usize = 1 << 20;

/// No process is looked at: only the write-back between scan and copy makes the later stores seen.
#[test]
fn a_store_to_a_page_that_was_dirty_at_the_scan_is_in_the_clone() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        for offset in [0, LENGTH / 2, LENGTH - 3] {
            let place = Place::on(&disk);
            let mapping = map(&place, "mapped");
            mapping.store(offset, b"one");
            place.let_it_grow_old("mapped");
            place.capture(|_| {}, |_| mapping.store(offset, b"two"));
        }
    }
}

#[test]
fn a_store_between_scan_and_copy_and_one_after_it_are_in_the_clone() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let mapping = map(&place, "mapped");
        mapping.store(0, b"one");
        place.let_it_grow_old("mapped");
        place.capture(|_| mapping.store(0, b"two"), |_| mapping.store(0, b"three"));
    }
}

/// With the whole file system written back, and the file alone; in its place, and after it was renamed.
#[test]
fn a_store_to_a_page_that_was_dirty_at_a_later_scan_is_in_the_clone() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        for (is_put_off, is_linked, later) in [
            (false, false, "mapped"),
            (true, false, "mapped"),
            (true, true, "mapped"),
            (true, false, "moved"),
        ] {
            let place = Place::on(&disk);
            let mapping = map(&place, "mapped");
            if is_linked {
                fs::hard_link(place.path("mapped"), place.path("linked")).unwrap();
            }
            mapping.store(0, b"one");
            place.let_it_grow_old("mapped");
            let source = place.tree();
            let mut clone = place.begin(&source, &[]);
            if is_put_off {
                clone.put_write_back_off(0, 0);
            }
            clone.copy_scanned(NOBODY).unwrap();
            mapping.store(0, b"two");
            fs::rename(place.path("mapped"), place.path(later)).unwrap();
            place.let_it_grow_old(later);
            assert!(clone.pass(NOBODY).unwrap().changed > 0);
            mapping.store(0, b"three");
            place.finish(clone);
        }
    }
}

/// It was not there to be written back, and is when it is copied.
#[test]
fn a_file_that_is_away_while_files_are_written_back_is_noticed() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    for name in ["stays", "directory/leaves"] {
        let path = place.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "content").unwrap();
    }
    let source = place.tree();
    let clone = place.begin(&source, &[]);
    let scan = &clone.scan;
    let mut reader = Reader::new(&source, clone.staging.clone(), 0, true, HOLD_BOUND);
    let files = scan
        .entries()
        .filter(|index| scan.node(*index).kind() == Kind::File);
    let files: Vec<usize> = files.collect();
    assert_eq!(reader.open_all(scan, &files).unwrap().unwrap().len(), 2);
    fs::rename(place.path("directory"), place.path("elsewhere")).unwrap();
    reader.begin(false);
    assert!(reader.open_all(scan, &files).unwrap().is_none());
}

#[test]
fn a_store_into_a_hole_that_was_scanned_as_one_is_in_the_clone() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let mapping = map(&place, "mapped");
        place.let_it_grow_old("mapped");
        place.capture(|_| {}, |_| mapping.store(LENGTH / 2, b"one"));
    }
}

/// There no store ever moves the change time, whatever is written back.
#[test]
fn a_store_on_tmpfs_is_in_the_clone_as_signatures_are_not_trusted_there() {
    let disk = disk(FileSystem::Tmpfs);
    let place = Place::on(&disk);
    let mapping = map(&place, "mapped");
    mapping.store(0, b"one");
    fs::write(place.path("small"), "x").unwrap();
    place.let_all_grow_old();
    let source = place.tree();
    let mut clone = place.begin_distrusting(&source);
    clone.copy_scanned(NOBODY).unwrap();
    mapping.store(0, b"two");
    let read = place.finish(clone);
    assert!(
        read.copied <= 4096,
        "all but one page is as it was: {read:?}"
    );
}

/// Its change time being what it was does not make it whole.
#[test]
fn a_store_on_tmpfs_to_a_file_that_moved_with_its_directory_is_in_the_clone() {
    let disk = disk(FileSystem::Tmpfs);
    let place = Place::on(&disk);
    fs::create_dir(place.path("old")).unwrap();
    let mapping = map(&place, "old/mapped");
    mapping.store(0, b"one");
    place.let_all_grow_old();
    let source = place.tree();
    let mut clone = place.begin_distrusting(&source);
    clone.copy_scanned(NOBODY).unwrap();
    mapping.store(0, b"two");
    fs::rename(place.path("old"), place.path("new")).unwrap();
    place.finish(clone);
}

fn map(place: &Place, name: &str) -> SharedMapping {
    let path = place.path(name);
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path);
    let file = file.unwrap();
    file.set_len(LENGTH as u64).unwrap();
    SharedMapping::of(&file, LENGTH).unwrap()
}
