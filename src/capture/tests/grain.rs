//! The clock's grain: a second change within one tick leaves the change time as it was.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use harness::{FileSystem, wait_until};

use super::PROVEN;
use super::place::{NOBODY, Place, disk};
use crate::system::clock::Moment;

const TRIES: usize = 10;
const HOUR: i64 = 3_600_000_000_000;

#[test]
fn two_writes_within_one_second_of_whole_second_stamps_are_both_in_the_clone() {
    within_one_second(|place| fs::write(place.path("file"), "two").unwrap());
}

#[test]
fn a_file_made_again_within_one_second_of_whole_second_stamps_is_in_the_clone() {
    within_one_second(|place| {
        fs::remove_file(place.path("file")).unwrap();
        fs::write(place.path("file"), "two").unwrap();
    });
}

/// The names in a directory are read again only where its change time does not vouch for them.
#[test]
fn a_name_that_comes_within_one_second_of_its_directorys_listing_is_in_the_clone() {
    let disk = disk(FileSystem::Ext4WholeSeconds);
    for _ in 0..TRIES {
        let place = Place::on(&disk);
        let look = || fs::metadata(place.source()).unwrap().ctime();
        wait_for_a_new_second();
        fs::write(place.path("file"), "one").unwrap();
        let before = look();
        place.capture(|_| {}, |at| fs::write(at.join("new"), "two").unwrap());
        if look() == before {
            return;
        }
    }
    panic!("{TRIES} times the change fell into a later second");
}

#[test]
fn writes_in_quick_succession_are_in_the_clone() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        for _ in 0..TRIES {
            let place = Place::on(&disk);
            let write = |text: &str| fs::write(place.path("file"), text).unwrap();
            write("one");
            place.capture(|_| write("two"), |_| write("six"));
        }
    }
}

#[test]
fn a_file_with_a_stamp_of_the_future_counts_as_changed() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("future"), "x").unwrap();
        fs::write(place.path("past"), "x").unwrap();
        place.let_it_grow_old("past");
        let stamp = Moment(Moment::stamped_now().0 + HOUR);
        let source = place.tree();
        let mut clone = place.begin(&source, &[]);
        clone.scan.stamp("future", stamp);
        clone.copy_scanned(NOBODY).unwrap();
        assert!(clone.is_settled("past") && !clone.is_settled("future"));
        place.finish(clone);
    }
}

/// Has `change` made after the copy in the very second in which the file was made: its inode then looks the same.
fn within_one_second(change: impl Fn(&Place)) {
    let disk = disk(FileSystem::Ext4WholeSeconds);
    for _ in 0..TRIES {
        let place = Place::on(&disk);
        let look = || {
            let metadata = fs::metadata(place.path("file")).unwrap();
            (metadata.ino(), metadata.ctime(), metadata.ctime_nsec())
        };
        wait_for_a_new_second();
        fs::write(place.path("file"), "one").unwrap();
        let before = look();
        place.capture(|_| {}, |_| change(&place));
        if look() == before {
            return;
        }
    }
    panic!("{TRIES} times the change fell into a later second");
}

fn wait_for_a_new_second() {
    let second = Moment::stamped_now().seconds();
    wait_until("a new second", Duration::from_secs(10), || {
        Ok((Moment::stamped_now().seconds() > second).then_some(()))
    })
    .unwrap();
}
