//! Changes that need more than a step: an inode number that comes again, a copy that takes long.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use harness::{FileSystem, wait_until};

use super::on_all;
use crate::capture::tests::place::{NOBODY, Place, disk};
use crate::capture::update::ENTRIES_AT_ONCE;

const BOUND: Duration = Duration::from_secs(20);
/// So large that it is staged, in several pieces.
const LARGE: usize = 64 << 20;
/// Not so small that it is copied again as a whole.
const COMPARED: usize = 64 << 10;
const BLOCK: usize = 1 << 20;
/// What is left of a file.
const CUT: u64 = 5000;
/// So many that they are looked at in many pieces, and their directory before them.
const LAST_PIECE: usize = 10;
const MANY: usize = LAST_PIECE * ENTRIES_AT_ONCE;
const PAUSE: Duration = Duration::from_micros(100);

/// btrfs gives no number twice.
#[test]
fn a_file_made_again_with_the_inode_number_of_the_old_one_is_in_the_clone() {
    for file_system in [
        FileSystem::Ext4,
        FileSystem::Ext4WholeSeconds,
        FileSystem::Xfs,
    ] {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("file"), "one").unwrap();
        place.let_it_grow_old("file");
        place.capture(
            |_| {},
            |_| make_again_with_its_number(&place.path("file"), "two"),
        );
    }
}

/// With the size and the times of the old one as well.
fn make_again_with_its_number(path: &Path, text: &str) {
    let old = fs::metadata(path).unwrap();
    fs::remove_file(path).unwrap();
    let mut others = 0;
    // xfs frees numbers late.
    wait_until("the same inode number", BOUND, || {
        fs::write(path, text)?;
        if fs::metadata(path)?.ino() == old.ino() {
            return Ok(Some(()));
        }
        // Kept, so that its number is not the one that comes again and again.
        fs::rename(path, path.with_extension(others.to_string()))?;
        others += 1;
        Ok(None)
    })
    .unwrap();
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(old.modified().unwrap()).unwrap();
}

/// The directory itself stays as it is, so its change time goes on to vouch for the names in it.
#[test]
fn what_is_in_a_directory_whose_parent_is_away_while_it_is_looked_at_is_in_the_clone() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let (top, away) = (place.path("top"), place.make_folder("outside").join("top"));
        make_many(&top.join("folder"), "content");
        place.let_all_grow_old();
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        let (from, to) = (top.clone(), away.clone());
        let updated = clone.update(&at_piece(LAST_PIECE, move || Ok(fs::rename(&from, &to)?)));
        updated.unwrap();
        fs::rename(&away, &top).unwrap();
        place.finish(clone);
    });
}

/// What is looked at last has other contents than what was copied, under the same paths.
#[test]
fn what_is_in_a_directory_that_takes_the_place_of_one_that_was_away_is_in_the_clone() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let (top, other) = (place.path("top"), place.make_folder("outside").join("top"));
        make_many(&top, "one");
        make_many(&other, "another");
        place.let_all_grow_old();
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        fs::rename(&top, other.with_extension("old")).unwrap();
        let put = at_piece(LAST_PIECE, move || Ok(fs::rename(&other, &top)?));
        clone.update(&put).unwrap();
        place.finish(clone);
    });
}

/// As it is when a freeze has lasted too long.
#[test]
fn what_a_scan_has_seen_that_came_to_no_end_is_in_the_clone() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let top = place.path("top");
        make_many(&top, "one");
        place.let_all_grow_old();
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        fs::write(top.join("1"), "two").unwrap();
        fs::rename(top.join("2"), top.join("3")).unwrap();
        fs::remove_file(top.join("4")).unwrap();
        fs::write(top.join("new"), "").unwrap();
        // All has been looked at when names are listed.
        let ended = clone.update(&at_piece(LAST_PIECE + 1, || bail!("too long")));
        assert_eq!(ended.unwrap_err().to_string(), "too long");
        place.finish(clone);
    });
}

/// However little there was to read.
#[test]
fn a_delta_whose_time_is_up_after_all_was_looked_at_is_none() {
    let disk = disk(FileSystem::Ext4);
    let place = Place::on(&disk);
    place.let_all_grow_old();
    let source = place.tree();
    let mut clone = place.begin_copied(&source);
    assert!(clone.update(&|| Ok(())).unwrap());
    let looks = AtomicUsize::new(0);
    let count = || {
        looks.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    assert!(clone.update(&count).unwrap());
    let late = at_piece(looks.into_inner(), || bail!("too long"));
    let ended = clone.read_delta(&late).err().expect("no delta");
    assert_eq!(ended.to_string(), "too long");
    place.finish(clone);
}

#[test]
fn a_file_that_is_cut_off_between_scan_and_copy_is_copied_as_short_as_it_is() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("short"), vec![b'o'; COMPARED]).unwrap();
        fs::write(place.path("long"), vec![b'o'; LARGE]).unwrap();
        let source = place.tree();
        let mut clone = place.begin(&source, &[]);
        for name in ["short", "long"] {
            let file = File::options().write(true).open(place.path(name));
            file.unwrap().set_len(CUT).unwrap();
        }
        clone.copy_scanned(NOBODY).unwrap();
        for name in ["short", "long"] {
            let copy = fs::metadata(place.replica().join(name)).unwrap();
            assert_eq!(copy.len(), CUT, "{name}");
        }
        place.finish(clone);
    });
}

/// It was written, and lost one of its names for another, between the looks at two of them. The file that the name which is
/// gone has in the clone is what it was.
#[test]
fn a_file_that_changes_names_while_it_is_looked_at_is_in_the_clone() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let [old, new] = ["old", "new"].map(|name| place.path(name));
        // Level by level, the root's names are looked at first, and it last.
        let other = place.path("many/below/it");
        make_many(&place.path("many"), "");
        fs::create_dir(place.path("many/below")).unwrap();
        fs::write(&old, vec![b'1'; COMPARED]).unwrap();
        fs::hard_link(&old, &other).unwrap();
        place.let_all_grow_old();
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        // So that its names are read again.
        fs::write(place.path("another"), "").unwrap();
        let change = move || {
            fs::write(&old, vec![b'2'; COMPARED])?;
            Ok(fs::rename(&old, &new)?)
        };
        clone.update(&after_first_piece(change)).unwrap();
        assert!(
            clone
                .scan
                .entries()
                .any(|index| clone.scan.name(index) == b"old")
        );
        place.let_it_grow_old("new");
        clone.copy_updated(NOBODY, false).unwrap();
        let copy = fs::read(place.replica().join("many/below/it")).unwrap();
        assert!(copy == vec![b'2'; COMPARED], "it is what it was before");
        place.finish(clone);
    });
}

/// Does something when this thread has looked at the first piece, and others at none.
fn after_first_piece(
    action: impl Fn() -> Result<()> + Sync + 'static,
) -> impl Fn() -> Result<()> + Sync + 'static {
    let (first, asked) = (thread::current().id(), AtomicUsize::new(0));
    let is_done = AtomicBool::new(false);
    move || {
        if thread::current().id() != first {
            while !is_done.load(Ordering::Acquire) {
                thread::yield_now();
            }
        } else if asked.fetch_add(1, Ordering::Relaxed) == 1 {
            action()?;
            is_done.store(true, Ordering::Release);
        }
        Ok(())
    }
}

fn make_many(folder: &Path, content: &str) {
    fs::create_dir_all(folder).unwrap();
    for index in 0..MANY {
        fs::write(folder.join(index.to_string()), content).unwrap();
    }
}

/// Does something when so many pieces have been looked at, or are about to be.
fn at_piece(
    number: usize,
    action: impl Fn() -> Result<()> + Sync + 'static,
) -> impl Fn() -> Result<()> + Sync + 'static {
    let asked = AtomicUsize::new(0);
    move || {
        if asked.fetch_add(1, Ordering::Relaxed) == number {
            action()?;
        }
        Ok(())
    }
}

#[test]
fn a_file_that_is_written_all_through_its_own_copy_is_in_the_clone() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("large"), vec![b'o'; LARGE]).unwrap();
        place.let_it_grow_old("large");
        let source = place.tree();
        let mut clone = place.begin(&source, &[]);
        let is_copied = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| write_until(&is_copied, &place.path("large")));
            let copied = clone.copy_scanned(NOBODY);
            is_copied.store(true, Ordering::Relaxed);
            copied.unwrap();
        });
        place.finish(clone);
    });
}

/// Keeps changing one byte here and there, at least once at each place.
fn write_until(is_over: &AtomicBool, path: &Path) {
    let file = File::options().write(true).open(path).unwrap();
    for round in 1u8.. {
        for offset in (0..LARGE).step_by(BLOCK) {
            file.write_all_at(&[round], offset as u64).unwrap();
            thread::sleep(PAUSE);
        }
        if is_over.load(Ordering::Relaxed) || round == u8::MAX {
            return;
        }
    }
}
