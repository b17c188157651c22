//! When the clone is written back: as it grows, or not before somebody else does it.

use std::fs::{self, File};
use std::os::fd::AsFd;

use harness::{FileSystem, skipped};

use super::place::{NOBODY, Place, disk};
use crate::capture::changes_little;
use crate::capture::write_back::{FEW_FILES, WriteBack};
use crate::system::cache;
use crate::system::clock::Moment;

const CONTENT: usize = 80 << 20;

/// Copies a large file, with the write-back put off for a clone of `expected` bytes, `small` of them in small files, and in
/// another pass `others` that came since; returns whether all of the large one's copy is on disk then. `None` where the
/// kernel does not tell.
fn is_written_back(expected: u64, small: u64, others: usize) -> Option<bool> {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    fs::write(place.path("large"), vec![7; CONTENT]).unwrap();
    place.let_it_grow_old("large");
    let source = place.tree();
    let mut clone = place.begin(&source, &[]);
    clone.put_write_back_off(expected, small);
    clone.copy_scanned(NOBODY).unwrap();
    for number in 0..others {
        fs::write(place.path(&number.to_string()), "content").unwrap();
    }
    assert_eq!(clone.pass(NOBODY).unwrap().changed, others);
    let copy = File::open(place.replica().join("large")).unwrap();
    let unwritten = cache::unwritten(copy.as_fd());
    place.finish(clone);
    if unwritten.is_none() {
        skipped("the kernel does not tell what is written");
    }
    unwritten.map(|bytes| bytes == 0)
}

fn assert_written_back(expected: u64, small: u64, others: usize) {
    assert!(is_written_back(expected, small, others).is_none_or(|is_written| is_written));
}

#[test]
fn a_clone_that_there_is_room_for_is_not_written_back_before_a_freeze() {
    for others in [0, 1, FEW_FILES] {
        let is_written = is_written_back(CONTENT as u64, 0, others);
        assert!(is_written.is_none_or(|is_written| !is_written), "{others}");
    }
}

#[test]
fn a_clone_that_many_files_are_copied_into_again_is_written_back() {
    assert_written_back(CONTENT as u64, 0, FEW_FILES + 1);
}

#[test]
fn a_clone_that_there_is_no_room_for_is_written_back_as_it_grows() {
    assert_written_back(u64::MAX, 0, 0);
}

#[test]
fn a_clone_of_many_small_files_is_written_back_as_it_grows() {
    assert_written_back(CONTENT as u64, CONTENT as u64 * 10, 0);
}

/// The container has written more since than was expected.
#[test]
fn what_there_is_no_room_for_after_all_is_put_off_no_longer() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    let write_back = WriteBack::of(&place.tree()).unwrap();
    write_back.put_off(1, 0);
    write_back.wrote(cache::most_unwritten() / 2 - 1).unwrap();
    assert!(write_back.has_put_off());
    write_back.wrote(1 << 30).unwrap();
    assert!(!write_back.has_put_off());
    write_back.settle().unwrap();
}

/// Of the root nothing is copied, so that there is nothing to read.
#[test]
fn what_is_removed_from_the_root_goes_although_nothing_is_copied() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    fs::write(place.path("removed"), "").unwrap();
    place.let_all_grow_old();
    let source = place.tree();
    let mut clone = place.begin(&source, &[]);
    clone.put_write_back_off(0, 0);
    clone.copy_scanned(NOBODY).unwrap();
    fs::remove_file(place.path("removed")).unwrap();
    place.finish_unpaused(clone);
}

#[test]
fn little_changes_where_few_entries_have_changed_lately() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    let names = || (0..=FEW_FILES).map(|number| number.to_string());
    for name in names() {
        fs::write(place.path(&name), "").unwrap();
    }
    let source = place.tree();
    let mut scan = place.begin(&source, &[]).scan;
    let now = Moment::stamped_now();
    let later = |seconds: i64| Moment(now.0 + seconds * 1_000_000_000);
    assert!(!changes_little(&scan, now));
    assert!(changes_little(&scan, later(60)));
    // Changed five seconds before, or by a clock that was set back since, of which nothing is known.
    for (name, seconds) in names().zip([55, 90].into_iter().cycle()) {
        assert!(changes_little(&scan, later(60)));
        scan.stamp(&name, later(seconds));
    }
    assert!(!changes_little(&scan, later(60)));
}
