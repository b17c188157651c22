//! Changes of every kind, at every place between the stages.
//!
//! Each kind has a folder of its own, and all of them are captured together.

mod attributes;
mod contents;
mod during;
mod names;
mod overlay;

use std::fs;
use std::path::Path;

use harness::FileSystem;

use super::place::{NOBODY, Place, disk};

/// Does something to what is below a folder.
type Step = fn(&Path);

/// One kind of change: what is there before, the change, and the way back.
struct Change {
    name: &'static str,
    before: Step,
    apply: Step,
    back: Step,
}

const KINDS: [&[Change]; 4] = [
    &attributes::CHANGES,
    &contents::CHANGES,
    &names::CHANGES,
    &overlay::CHANGES,
];

#[test]
fn changes_between_scan_and_copy_are_in_the_clone() {
    on_all(|file_system| capture(file_system, |source| step(source, CHANGE), |_| {}));
}

#[test]
fn changes_between_copy_and_delta_are_in_the_clone() {
    on_all(|file_system| capture(file_system, |_| {}, |source| step(source, CHANGE)));
}

#[test]
fn changes_that_are_copied_and_then_undone_are_not_in_the_clone() {
    on_all(|file_system| {
        capture(
            file_system,
            |source| step(source, CHANGE),
            |source| step(source, BACK),
        );
    });
}

#[test]
fn changes_that_are_undone_before_the_delta_are_not_in_the_clone() {
    on_all(|file_system| {
        capture(
            file_system,
            |_| {},
            |source| {
                step(source, CHANGE);
                step(source, BACK);
            },
        );
    });
}

#[test]
fn changes_in_every_pass_are_in_the_clone() {
    on_all(|file_system| {
        let disk = disk(file_system);
        let place = prepared(&disk);
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        for which in [CHANGE, BACK, CHANGE] {
            step(&place.source(), which);
            clone.pass(NOBODY).unwrap();
        }
        step(&place.source(), BACK);
        place.finish(clone);
    });
}

const CHANGE: fn(&Change) -> Step = |change| change.apply;
const BACK: fn(&Change) -> Step = |change| change.back;

fn on_all(test: fn(FileSystem)) {
    super::PROVEN.into_iter().for_each(test);
}

fn capture(file_system: FileSystem, scanned: fn(&Path), copied: fn(&Path)) {
    let disk = disk(file_system);
    prepared(&disk).capture(scanned, copied);
}

/// All that is there before, so old that copies settle it.
fn prepared(disk: &harness::Disk) -> Place {
    let place = Place::on(disk);
    for change in KINDS.into_iter().flatten() {
        fs::create_dir(place.path(change.name)).unwrap();
    }
    step(&place.source(), |change| change.before);
    place.let_all_grow_old();
    place
}

fn step(source: &Path, which: fn(&Change) -> Step) {
    for change in KINDS.into_iter().flatten() {
        which(change)(&source.join(change.name));
    }
}

/// Writes `text` over the file `name`, or into a new one.
fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).unwrap();
}

fn rename(folder: &Path, old: &str, new: &str) {
    fs::rename(folder.join(old), folder.join(new)).unwrap();
}

fn remove(folder: &Path, name: &str) {
    let path = folder.join(name);
    let removed = if path.is_dir() && !path.is_symlink() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.unwrap();
}

/// A directory with two levels and three files, whose contents name it.
fn directory(folder: &Path, name: &str) {
    fs::create_dir_all(folder.join(name).join("below")).unwrap();
    for file in ["a", "below/b", "below/c"] {
        write(&folder.join(name), file, name);
    }
}
