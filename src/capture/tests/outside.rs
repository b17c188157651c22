//! A writer that the freeze does not reach: one outside of the container's cgroup.
//!
//! What the stages ask again and again, whether to go on, is where it writes.

use std::fs::{self, File};
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use super::PROVEN;
use super::place::{Place, disk};

const LINE: &[u8] = b"one more line\n";

/// Appends for the first `times` that it is asked.
fn appending(place: &Place, times: u32) -> impl Fn() -> anyhow::Result<()> + Sync + use<> {
    let file = File::options()
        .append(true)
        .open(place.path("log"))
        .unwrap();
    let asked = AtomicU32::new(0);
    move || {
        if asked.fetch_add(1, Ordering::Relaxed) < times {
            (&file).write_all(LINE)?;
        }
        Ok(())
    }
}

fn place(disk: &harness::Disk) -> Place {
    let place = Place::on(disk);
    fs::write(place.path("log"), LINE).unwrap();
    place.let_all_grow_old();
    place
}

#[test]
fn a_file_that_changes_while_it_is_read_under_the_freeze_is_read_again() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk);
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        let delta = clone.read_delta(&appending(&place, 2)).unwrap();
        assert_eq!(delta.unstable, 0, "it held still in the end");
        clone.apply(delta).unwrap();
        place.complete(clone);
    }
}

#[test]
fn a_file_that_never_holds_still_under_the_freeze_is_told_of_and_is_something_that_it_was() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk);
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        let delta = clone.read_delta(&appending(&place, u32::MAX)).unwrap();
        assert_eq!(delta.unstable, 1);
        clone.apply(delta).unwrap();
        clone.complete().unwrap();
        let taken = fs::read(place.replica().join("log")).unwrap();
        let written = fs::read(place.path("log")).unwrap();
        assert!(taken.len() > LINE.len() && written.starts_with(&taken));
    }
}
