//! Other things put in the place of what was scanned, as fast as can be.
//!
//! inotify(7) tells whether anybody opened what must not be opened: a FIFO (it would hang), a device (it might act), what a
//! link leads to outside of the tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use harness::wait_until;
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use rustix::fs::{CWD, FileType, Mode, RenameFlags, makedev, mknodat, renameat_with};
use rustix::io::Errno;

use super::super::PROVEN;
use super::super::place::{NOBODY, Place, disk};
use crate::capture::tests::random::SetOnDrop;

const BOUND: Duration = Duration::from_secs(60);
/// Of each kind, so that a pass meets many of them.
const COUNT: usize = 20;
/// Rounds of swaps that each test sees, over all of a kind.
const ROUNDS: u64 = 50;

#[test]
fn fifos_and_devices_in_the_place_of_files_are_never_opened() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let others = place.make_folder("others");
        for index in 0..COUNT {
            fs::write(place.path(&format!("file-{index}")), "content").unwrap();
            let (kind, device) = match index % 2 {
                0 => (FileType::Fifo, 0),
                // The kernel's null device, which anybody may open.
                _ => (FileType::CharacterDevice, makedev(1, 3)),
            };
            let path = others.join(index.to_string());
            mknodat(CWD, path, kind, Mode::RUSR, device).unwrap();
        }
        let opened = Opened::of((0..COUNT).map(|index| others.join(index.to_string())));
        capture_while(&place, |index| {
            let file = place.path(&format!("file-{index}"));
            exchange(&file, &others.join(index.to_string()));
        });
        opened.expect_none();
    }
}

#[test]
fn what_links_lead_to_in_the_place_of_files_and_directories_is_never_opened() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let (others, outside) = (place.make_folder("others"), place.make_folder("outside"));
        fs::create_dir(outside.join("folder")).unwrap();
        for name in ["below", "folder/below"] {
            fs::write(outside.join(name), "secret").unwrap();
        }
        for index in 0..COUNT {
            let path = place.path(&format!("entry-{index}"));
            let link = others.join(index.to_string());
            if index % 2 == 0 {
                fs::create_dir_all(path.join("folder")).unwrap();
                fs::write(path.join("folder/below"), "content").unwrap();
                symlink(&outside, link).unwrap();
            } else {
                fs::write(path, "content").unwrap();
                symlink("../outside/below", link).unwrap();
            }
        }
        let watched = ["", "below", "folder", "folder/below"];
        let opened = Opened::of(watched.iter().map(|name| outside.join(name)));
        capture_while(&place, |index| {
            let entry = place.path(&format!("entry-{index}"));
            exchange(&entry, &others.join(index.to_string()));
        });
        opened.expect_none();
    }
}

#[test]
fn directories_that_are_moved_out_and_back_while_they_are_walked_end_as_they_are() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let outside = place.make_folder("outside");
        let top = |index: usize| place.path(&format!("top-{index}"));
        for index in 0..COUNT {
            fs::create_dir_all(top(index).join("a/b/c")).unwrap();
            fs::write(top(index).join("a/b/c/file"), "content").unwrap();
        }
        capture_while(&place, |index| {
            let (inside, away) = (top(index).join("a/b"), outside.join("b"));
            fs::rename(&inside, &away).unwrap();
            fs::write(away.join("c/secret"), "secret").unwrap();
            fs::remove_file(away.join("c/secret")).unwrap();
            fs::rename(&away, &inside).unwrap();
        });
    }
}

/// Passes over the source while `swap` is called for every number below `COUNT`, again and again; then the delta.
fn capture_while(place: &Place, swap: impl Fn(usize) + Sync) {
    let (is_over, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    let source = place.tree();
    let clone = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                (0..COUNT).for_each(&swap);
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
        let _over = SetOnDrop(&is_over);
        let mut clone = place.begin_copied(&source);
        wait_until("many rounds of swaps", BOUND, || {
            clone.pass(NOBODY)?;
            Ok((rounds.load(Ordering::Relaxed) >= ROUNDS).then_some(()))
        })
        .unwrap();
        clone
    });
    place.finish(clone);
}

fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

/// Looks out for opened files.
struct Opened(rustix::fd::OwnedFd);

impl Opened {
    fn of(paths: impl Iterator<Item = PathBuf>) -> Self {
        let inotify = init(CreateFlags::NONBLOCK).unwrap();
        for path in paths {
            let flags = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::DONT_FOLLOW;
            add_watch(&inotify, path, flags).unwrap();
        }
        Self(inotify)
    }

    fn expect_none(&self) {
        let read = rustix::io::read(&self.0, &mut [0; 4096]);
        assert_eq!(read, Err(Errno::AGAIN), "it was opened");
    }
}
