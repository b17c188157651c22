//! Files that a process holds in such a way that its writes need not show count as changed.
//!
//! A child holds them where others must not be held with them: tests of this process map and open files of their own.

use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Result;
use harness::{FileSystem, wait_until};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, mkdirat, openat};

use super::PROVEN;
use super::place::{NOBODY, Place, disk};
use crate::capture::writers::Writers;
use crate::system::memory::SharedMapping;

const LENGTH: usize = 8192;
const BOUND: Duration = Duration::from_secs(20);

/// A process that holds a file open and does nothing; it ends with this.
struct Holder(Child);

impl Holder {
    fn of(file: File) -> Self {
        let mut command = Command::new("sleep");
        command.arg("600").stdin(Stdio::from(file));
        Self(command.spawn().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have been killed with everything else.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A place with the files "held" and "free", old enough to be settled by their copies.
fn place(disk: &harness::Disk) -> Place {
    let place = Place::on(disk);
    for name in ["held", "free"] {
        fs::write(place.path(name), "x".repeat(LENGTH)).unwrap();
    }
    place.let_it_grow_old("free");
    place
}

fn open(place: &Place, options: &mut OpenOptions) -> File {
    options.open(place.path("held")).unwrap()
}

fn open_directly(place: &Place) -> File {
    let mut options = File::options();
    open(place, options.write(true).custom_flags(libc::O_DIRECT))
}

/// What the delta reads where nothing changes, and these are the container's processes before the scan and after it.
fn delta_beside(place: &Place, before: &[u32], after: &[u32]) -> u64 {
    let source = place.tree();
    let mut clone = place.begin(&source, before);
    clone.copy_scanned(&|| Ok(after.to_vec())).unwrap();
    place.finish(clone).any()
}

#[test]
fn a_file_that_was_open_for_direct_writing_at_the_scan_counts_as_changed() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk);
        let holder = Holder::of(open_directly(&place));
        assert_eq!(delta_beside(&place, &[holder.0.id()], &[]), LENGTH as u64);
    }
}

/// Of such a process `/proc/PID` itself shows nothing.
#[test]
fn a_file_that_is_held_by_a_process_whose_first_thread_has_ended_counts_as_changed() {
    let disk = disk(FileSystem::Ext4);
    let place = place(&disk);
    harness::probe::install(disk.path()).unwrap();
    let mut command = Command::new(disk.path().join("probe"));
    command.arg("hold").arg(place.path("held"));
    let holder = Holder(command.spawn().unwrap());
    let process = holder.0.id();
    wait_until("the first thread's end", BOUND, || {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        Ok(stat.contains(" Z ").then_some(()))
    })
    .unwrap();
    assert_eq!(delta_beside(&place, &[process], &[]), LENGTH as u64);
}

#[test]
fn a_file_that_is_held_by_a_thread_with_descriptors_of_its_own_counts_as_changed() {
    let disk = disk(FileSystem::Ext4);
    let place = place(&disk);
    let (opened, is_open) = mpsc::channel();
    // It lasts as long as this thread works, should that panic.
    let (work, end) = mpsc::channel::<()>();
    let bytes = std::thread::scope(|scope| {
        let place = &place;
        scope.spawn(move || {
            unshare(CloneFlags::CLONE_FILES).unwrap();
            let file = open_directly(place);
            opened.send(()).unwrap();
            let _ = end.recv();
            drop(file);
        });
        let _work = work;
        is_open.recv().unwrap();
        delta_beside(place, &[std::process::id()], &[])
    });
    // Other tests of this process may hold files of the same name or number.
    assert!(bytes >= LENGTH as u64);
}

/// The kernel does not tell the path of a descriptor that is longer than a page.
#[test]
fn a_file_that_is_held_by_a_path_too_long_to_tell_counts_as_changed_and_nothing_else() {
    let disk = disk(FileSystem::Ext4);
    let place = place(&disk);
    let mut directory = OwnedFd::from(File::open(disk.path()).unwrap());
    let name = "long".repeat(50);
    for _ in 0..25 {
        mkdirat(&directory, &name, Mode::RWXU).unwrap();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        directory = openat(&directory, &name, flags, Mode::empty()).unwrap();
    }
    let held = place.path("held");
    linkat(CWD, &held, &directory, "held", AtFlags::empty()).unwrap();
    place.let_it_grow_old("held");
    let flags = OFlags::WRONLY | OFlags::DIRECT;
    let file = openat(&directory, "held", flags, Mode::empty()).unwrap();
    let holder = Holder::of(File::from(file));
    let bytes = delta_beside(&place, &[holder.0.id()], &[]);
    assert_eq!(bytes, LENGTH as u64);
}

/// What cannot be seen may be there.
#[test]
fn where_not_all_can_be_seen_every_file_counts_as_changed() {
    let disk = disk(FileSystem::Ext4);
    let place = place(&disk);
    let source = place.tree();
    let mut clone = place.begin(&source, &[]);
    clone.writers = Writers::blind();
    clone.copy_scanned(NOBODY).unwrap();
    assert_eq!(place.finish(clone).any(), 2 * LENGTH as u64);
}

#[test]
fn a_file_that_was_open_for_direct_writing_before_the_second_pass_counts_as_changed() {
    for file_system in PROVEN {
        let holding = |holder: u32| move || Ok(vec![holder]);
        counts_as_changed_after_a_pass(file_system, holding);
    }
}

#[test]
fn a_file_that_was_opened_for_direct_writing_in_the_midst_of_a_pass_counts_as_changed() {
    for file_system in PROVEN {
        // The first time, before the scan, it had not opened the file yet.
        let holding = |holder: u32| {
            let asked = Cell::new(0);
            move || Ok(vec![holder; asked.replace(1)])
        };
        counts_as_changed_after_a_pass(file_system, holding);
    }
}

#[test]
fn a_file_that_was_closed_by_its_direct_writer_in_the_midst_of_a_pass_counts_as_changed() {
    for file_system in PROVEN {
        // The second time, after the scan, its process has ended.
        let holding = |holder: u32| {
            let asked = Cell::new(0);
            move || Ok(vec![holder; 1 - asked.replace(1)])
        };
        counts_as_changed_after_a_pass(file_system, holding);
    }
}

/// A pass in which the process that holds the file is among the processes told finds nothing changed; the delta reads it.
fn counts_as_changed_after_a_pass<P: Fn() -> Result<Vec<u32>>>(
    file_system: FileSystem,
    holding: impl Fn(u32) -> P,
) {
    let disk = disk(file_system);
    let place = place(&disk);
    let source = place.tree();
    let mut clone = place.begin_copied(&source);
    let holder = Holder::of(open_directly(&place));
    assert_eq!(clone.pass(&holding(holder.0.id())).unwrap().changed, 0);
    drop(holder);
    assert_eq!(place.finish(clone).any(), LENGTH as u64);
}

#[test]
fn a_file_that_was_opened_for_direct_writing_after_the_scan_counts_as_changed() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk);
        let source = place.tree();
        let mut clone = place.begin(&source, &[]);
        let holder = Holder::of(open_directly(&place));
        clone.copy_scanned(&|| Ok(vec![holder.0.id()])).unwrap();
        drop(holder);
        assert_eq!(place.finish(clone).any(), LENGTH as u64);
    }
}

#[test]
fn a_file_that_was_open_for_direct_writing_counts_as_changed_under_its_new_name() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk);
        fs::hard_link(place.path("held"), place.path("other")).unwrap();
        place.let_it_grow_old("held");
        let holder = Holder::of(open_directly(&place));
        let bytes = delta_beside(&place, &[holder.0.id()], &[]);
        assert_eq!(bytes, LENGTH as u64, "once for both names");
    }
}

#[test]
fn files_that_are_held_in_other_ways_are_not_read_again() {
    let disk = disk(FileSystem::Ext4);
    let direct = libc::O_DIRECT;
    for options in [
        File::options().read(true).custom_flags(direct),
        File::options().read(true).write(true),
        File::options().append(true),
    ] {
        let place = place(&disk);
        let holder = [Holder::of(open(&place, options))];
        let processes = holder.each_ref().map(|holder| holder.0.id());
        assert_eq!(delta_beside(&place, &processes, &processes), 0);
    }
}

#[test]
fn a_file_that_is_mapped_shared_and_writable_counts_as_changed() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = place(&disk);
        let file = open(&place, File::options().read(true).write(true));
        let mapping = SharedMapping::of(&file, LENGTH).unwrap();
        let bytes = delta_beside(&place, &[], &[std::process::id()]);
        // Other tests of this process may map inodes of the same number.
        assert!(bytes >= LENGTH as u64);
        drop(mapping);
    }
}
