//! When the clone is written back: as it grows, or not before somebody else does it.

use std::fs::{self, File};
use std::os::fd::AsFd;

use harness::FileSystem;

use super::place::{NOBODY, Place, disk};
use crate::capture::has_stood_still;
use crate::system::cache;
use crate::system::clock::Moment;

const CONTENT: usize = 80 << 20;

/// Copies a file, with the write-back put off for a clone of so many bytes; returns whether all of it is on disk then.
fn is_written_back(expected: u64, small: u64) -> bool {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    fs::write(place.path("large"), vec![7; CONTENT]).unwrap();
    place.let_it_grow_old("large");
    let source = place.tree();
    let (mut clone, scan) = place.begin(&source, &[]);
    clone.put_write_back_off(expected, small);
    clone.copy_scanned(scan, &[]).unwrap();
    // With nothing to copy it waits for nothing.
    assert_eq!(clone.pass(NOBODY).unwrap().changed, 0);
    let copy = File::open(place.replica().join("large")).unwrap();
    let unwritten = cache::unwritten_pages(copy.as_fd());
    place.finish(clone, &[]);
    unwritten.unwrap_or(0) == 0
}

#[test]
fn a_clone_that_there_is_room_for_is_not_written_back_before_a_freeze() {
    let disk = disk(FileSystem::Ext4);
    let file = File::create(disk.path().join("file")).unwrap();
    if cache::unwritten_pages(file.as_fd()).is_none() {
        println!("not tried: the kernel does not tell what is written");
        return;
    }
    assert!(!is_written_back(CONTENT as u64, 0));
}

#[test]
fn a_clone_that_there_is_no_room_for_is_written_back_as_it_grows() {
    assert!(is_written_back(u64::MAX, 0));
}

#[test]
fn a_clone_of_many_small_files_is_written_back_as_it_grows() {
    assert!(is_written_back(CONTENT as u64, CONTENT as u64 * 10));
}

/// Of the root nothing is copied, so that there is nothing to read.
#[test]
fn what_is_removed_from_the_root_goes_although_nothing_is_copied() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    fs::write(place.path("removed"), "").unwrap();
    place.let_all_grow_old();
    let source = place.tree();
    let (mut clone, scan) = place.begin(&source, &[]);
    clone.put_write_back_off(0, 0);
    clone.copy_scanned(scan, &[]).unwrap();
    fs::remove_file(place.path("removed")).unwrap();
    place.finish_unpaused(clone);
}

#[test]
fn a_tree_stands_still_that_has_not_changed_for_a_while() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    fs::write(place.path("file"), "").unwrap();
    let source = place.tree();
    let (_, mut scan) = place.begin(&source, &[]);
    let now = Moment::stamped_now();
    let later = |seconds: i64| Moment(now.0 + seconds * 1_000_000_000);
    assert!(!has_stood_still(&scan, now));
    assert!(has_stood_still(&scan, later(60)));
    scan.stamp("file", later(55));
    assert!(!has_stood_still(&scan, later(60)));
    // Of a clock that was set back nothing is known.
    scan.stamp("file", later(90));
    assert!(!has_stood_still(&scan, later(60)));
}
