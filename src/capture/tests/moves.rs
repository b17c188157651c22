//! What was copied once is not copied again: files that were renamed take their copies along, and of large files that
//! changed only what differs is read.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use harness::{Disk, FileSystem};
use rustix::fs::{FallocateFlags, IFlags, XattrFlags, fallocate, ioctl_setflags, setxattr};

use super::PROVEN;
use super::place::{NOBODY, Place, Read, disk};
use crate::system::attributes::CAPABILITY_ATTRIBUTE;
use crate::system::cache;

const MEGABYTE: usize = 1 << 20;
/// Larger than what goes through memory as a whole.
const LARGE: usize = 24 * MEGABYTE;
/// A difference is no smaller.
const PAGE: u64 = 4096;

/// Without a hole, and every page of it another.
fn content(length: usize) -> Vec<u8> {
    let words = (1..).map(|count: u64| count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).take(length).collect()
}

/// A place with a "file" of this length, old enough to be settled by its copy.
fn place(disk: &harness::Disk, length: usize) -> Place {
    let place = Place::on(disk);
    fs::write(place.path("file"), content(length)).unwrap();
    place.let_it_grow_old("file");
    place
}

fn open(place: &Place) -> File {
    File::options()
        .write(true)
        .open(place.path("file"))
        .unwrap()
}

/// On every file system, for a file that goes through memory and for one that is too large: has `change` made to it after
/// its copy. Of `length` bytes at most `differing` are read, or none where the file system shares contents.
fn only_reads(differing: u64, change: fn(&Place)) {
    for file_system in PROVEN {
        let disk = disk(file_system);
        for length in [2 * MEGABYTE, LARGE] {
            let place = place(&disk, length);
            let Read { copied, .. } = place.capture(|_| {}, |_| change(&place));
            assert!(
                copied <= differing,
                "{copied} bytes of {length} were copied"
            );
        }
    }
}

#[test]
fn of_a_large_file_that_gets_another_name_nothing_is_copied() {
    only_reads(0, |place| {
        fs::hard_link(place.path("file"), place.path("a")).unwrap();
        fs::hard_link(place.path("file"), place.path("z")).unwrap();
    });
}

#[test]
fn of_a_large_file_with_several_names_only_blocks_that_changed_are_read() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk, LARGE);
        for name in ["a", "z"] {
            fs::hard_link(place.path("file"), place.path(name)).unwrap();
        }
        place.let_it_grow_old("file");
        let Read { copied, .. } = place.capture(
            |_| {},
            |_| {
                open(&place).write_all_at(b"changed", 0).unwrap();
                fs::rename(place.path("a"), place.path("b")).unwrap();
            },
        );
        assert!(copied <= PAGE, "{copied} bytes were copied");
    }
}

#[test]
fn of_a_large_file_only_blocks_that_changed_are_read() {
    only_reads(3 * PAGE, |place| {
        let file = open(place);
        let end = file.metadata().unwrap().len();
        for offset in [0, MEGABYTE as u64 + 5, end - 1] {
            file.write_all_at(b"x", offset).unwrap();
        }
    });
}

#[test]
fn of_a_file_that_was_appended_to_only_the_tail_is_read() {
    only_reads(2 * PAGE, |place| {
        let file = open(place);
        let end = file.metadata().unwrap().len();
        file.write_all_at(&[b'x'; 4096], end).unwrap();
    });
}

#[test]
fn of_a_file_that_was_cut_nothing_is_read() {
    only_reads(PAGE, |place| {
        open(place).set_len(MEGABYTE as u64 + 100).unwrap();
    });
}

#[test]
fn of_a_file_that_got_a_hole_nothing_is_read_and_the_hole_is_there() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk, 2 * MEGABYTE);
        let Read { copied, .. } = place.capture(
            |_| {},
            |_| {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                let megabyte = MEGABYTE as u64;
                fallocate(open(&place), flags, 0, megabyte).unwrap();
            },
        );
        assert_eq!(copied, 0);
        assert!(place.allocated_in_clone("file") <= MEGABYTE as u64 + 2 * PAGE);
    }
}

#[test]
fn a_large_file_whose_attributes_alone_changed_is_not_read_and_loses_none() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk, 2 * MEGABYTE);
        // `vfs_cap_data` of linux/capability.h, revision 2.
        let mut capability = [0; 20];
        (capability[3], capability[5]) = (2, 4);
        let set = |place: &Place| {
            let flags = XattrFlags::empty();
            setxattr(place.path("file"), CAPABILITY_ATTRIBUTE, &capability, flags).unwrap();
        };
        assert_eq!(place.capture(|_| {}, |_| set(&place)).copied, 0);
        let place = self::place(&disk, 2 * MEGABYTE);
        set(&place);
        place.let_it_grow_old("file");
        let remove = || rustix::fs::removexattr(place.path("file"), CAPABILITY_ATTRIBUTE).unwrap();
        assert_eq!(place.capture(|_| {}, |_| remove()).copied, 0);
    }
}

#[test]
fn a_log_that_is_rotated_takes_its_copy_along() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk, 2 * MEGABYTE);
        fs::write(place.path("file.1"), content(3 * MEGABYTE)).unwrap();
        place.let_it_grow_old("file.1");
        let read = place.capture(
            |_| {},
            |_| {
                let rename = |old, new| fs::rename(place.path(old), place.path(new)).unwrap();
                rename("file.1", "file.2");
                rename("file", "file.1");
                fs::write(place.path("file"), "new").unwrap();
            },
        );
        assert_eq!(read.copied, 3);
    }
}

#[test]
fn files_that_change_places_do_so_in_the_clone() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk, 2 * MEGABYTE);
        fs::write(place.path("other"), vec![b'o'; 2 * MEGABYTE]).unwrap();
        place.let_it_grow_old("other");
        let exchange = || {
            let rename = |old, new| fs::rename(place.path(old), place.path(new)).unwrap();
            rename("file", "third");
            rename("other", "file");
            rename("third", "other");
        };
        assert_eq!(place.capture(|_| {}, |_| exchange()).copied, 0);
    }
}

/// What is below it keeps its change times: it need not even be opened.
#[test]
fn a_directory_that_is_moved_takes_its_files_along_unread() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::create_dir_all(place.path("old/below")).unwrap();
        fs::create_dir(place.path("elsewhere")).unwrap();
        for name in ["old/small", "old/below/large"] {
            fs::write(place.path(name), content(2 * MEGABYTE)).unwrap();
        }
        place.let_all_grow_old();
        let read = place.capture(
            |_| {},
            |_| fs::rename(place.path("old"), place.path("elsewhere/new")).unwrap(),
        );
        assert_eq!((read.copied, read.compared), (0, 0));
    }
}

/// As sharing takes all at once, nothing of it is held in memory.
#[test]
fn a_new_large_file_is_shared_where_the_file_system_can_once_it_is_on_disk() {
    for file_system in [FileSystem::Xfs, FileSystem::Btrfs] {
        let disk = disk(file_system);
        let has_cachestat = tells_what_is_written(&disk);
        for is_on_disk in [true, false] {
            let place = Place::on(&disk);
            let write = || {
                let mut file = File::create(place.path("file")).unwrap();
                file.write_all(&content(LARGE)).unwrap();
                if is_on_disk {
                    file.sync_all().unwrap();
                }
            };
            let read = place.capture(|_| {}, |_| write());
            let is_shared = is_on_disk && has_cachestat;
            assert_eq!(read.copied, if is_shared { 0 } else { LARGE as u64 });
        }
    }
}

/// Else its pieces would be shared, each of which has to be on disk. The kernel may have written it by itself.
#[test]
fn a_new_large_file_that_is_copied_is_not_written_to_disk_for_that() {
    for file_system in [FileSystem::Xfs, FileSystem::Btrfs] {
        let disk = disk(file_system);
        let is_on_disk_then = || {
            let place = Place::on(&disk);
            let path = place.path("file");
            place.capture(|_| {}, |_| fs::write(&path, content(LARGE)).unwrap());
            cache::unwritten(File::open(path).unwrap().as_fd()) == Some(0)
        };
        assert!(!(0..3).all(|_| is_on_disk_then()), "{file_system:?}");
    }
}

/// Reading the copy from disk takes longer than writing what is new, and reading it from memory does not.
#[test]
fn a_changed_large_file_is_shared_where_its_copy_is_not_in_memory() {
    for file_system in [FileSystem::Xfs, FileSystem::Btrfs] {
        let disk = disk(file_system);
        for copy_is_in_memory in [false, true] {
            let place = place(&disk, 4 * LARGE);
            let read = place.capture(
                |_| {},
                |_| {
                    let new = content(40 * MEGABYTE);
                    open(&place).write_all_at(&new, 0).unwrap();
                    if copy_is_in_memory {
                        fs::read(place.replica().join("file")).unwrap();
                    }
                },
            );
            let is_compared = copy_is_in_memory && tells_what_is_written(&disk);
            let compared = if is_compared { 4 * LARGE } else { 0 };
            assert_eq!(read.compared, compared as u64, "{file_system:?}");
        }
    }
}

/// On xfs each of them takes time, in which the container waits.
#[test]
fn a_changed_large_file_of_many_extents_is_shared_where_that_is_soon_done() {
    for file_system in [FileSystem::Xfs, FileSystem::Btrfs] {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let file = File::create(place.path("file")).unwrap();
        // No two blocks that follow one another are written, or room for them made, together.
        file.set_len(LARGE as u64).unwrap();
        for first in [0, 1] {
            for number in (first..LARGE as u64 / PAGE).step_by(2) {
                file.write_all_at(&content(4096), number * PAGE).unwrap();
            }
            file.sync_all().unwrap();
        }
        place.let_it_grow_old("file");
        let read = place.capture(|_| {}, |_| file.write_all_at(b"another", PAGE).unwrap());
        let compared = match file_system {
            FileSystem::Btrfs => 0,
            _ => LARGE as u64,
        };
        assert_eq!(read.compared, compared, "{file_system:?}");
    }
}

/// It was renamed after it was looked at, and so had vanished when it was to be read.
#[test]
fn a_file_that_vanishes_before_it_is_read_takes_its_copy_along() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk, LARGE);
        let source = place.tree();
        let mut clone = place.begin_copied(&source);
        open(&place).write_all_at(b"another", 0).unwrap();
        clone.update(&|| Ok(())).unwrap();
        fs::rename(place.path("file"), place.path("moved")).unwrap();
        clone.copy_updated(NOBODY, false).unwrap();
        let read = place.finish(clone);
        assert!(read.copied <= PAGE, "{file_system:?}: {read:?}");
    }
}

/// As on ZFS, which shares as well.
#[test]
fn nothing_is_shared_where_signatures_are_not_trusted() {
    for file_system in [FileSystem::Xfs, FileSystem::Btrfs] {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let source = place.tree();
        let mut clone = place.begin_distrusting(&source);
        clone.copy_scanned(NOBODY).unwrap();
        let mut file = File::create(place.path("file")).unwrap();
        file.write_all(&content(LARGE)).unwrap();
        file.sync_all().unwrap();
        assert_eq!(place.finish(clone).copied, LARGE as u64);
    }
}

/// btrfs shares nothing between a file with checksums and one without.
#[test]
fn a_file_that_cannot_be_shared_stands_in_no_others_way() {
    let disk = disk(FileSystem::Btrfs);
    let place = Place::on(&disk);
    let write = |name: &str, flags: IFlags| {
        let mut file = File::create(place.path(name)).unwrap();
        ioctl_setflags(&file, flags).unwrap();
        file.write_all(&content(LARGE)).unwrap();
        file.sync_all().unwrap();
    };
    let write_all = || {
        write("first", IFlags::NOCOW);
        write("second", IFlags::empty());
        write("third", IFlags::NOCOW);
    };
    let read = place.capture(|_| {}, |_| write_all());
    let copied = if tells_what_is_written(&disk) { 2 } else { 3 };
    assert_eq!(read.copied, copied * LARGE as u64);
}

fn tells_what_is_written(disk: &Disk) -> bool {
    let root = File::open(disk.path()).unwrap();
    cache::unwritten(root.as_fd()).is_some()
}
