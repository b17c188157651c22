//! A write that is under way at the scan: its change time is already there, its data are not.
//!
//! Its buffer lacks the second half until the copy waits for it (or, were that broken, has not waited).

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::time::Duration;

use harness::wait_until;
use nix::libc;
use nix::unistd::{Pid, gettid};

use super::PROVEN;
use super::place::{Place, disk};
use crate::capture::clone::Cloning;
use crate::system::memory::HalfBuffer;

const HALF: usize = 8 << 20;
const BOUND: Duration = Duration::from_secs(60);

#[test]
fn a_write_over_old_data_that_is_under_way_at_the_scan_is_waited_for() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("written"), vec![b'o'; 2 * HALF]).unwrap();
        copy_in_the_midst_of_a_write(&place, expect_empty_delta);
    }
}

#[test]
fn a_write_into_a_hole_that_is_under_way_at_the_scan_is_waited_for() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let file = File::create(place.path("written")).unwrap();
        file.set_len(2 * HALF as u64).unwrap();
        copy_in_the_midst_of_a_write(&place, expect_empty_delta);
    }
}

/// Two equal looks alone would not tell that the copy is whole.
#[test]
fn a_write_that_is_under_way_at_the_scan_is_waited_for_without_a_pause() {
    for file_system in PROVEN {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        fs::write(place.path("written"), vec![b'o'; 2 * HALF]).unwrap();
        copy_in_the_midst_of_a_write(&place, Place::finish_unpaused);
    }
}

fn expect_empty_delta(place: &Place, clone: Cloning) {
    let read = place.finish(clone);
    assert_eq!(read.any(), 0, "nothing changed since the copy");
}

/// The whole file "written" is written while it is scanned and copied, and not any more when the delta is read.
fn copy_in_the_midst_of_a_write(place: &Place, finish: fn(&Place, Cloning)) {
    let file = File::options().write(true).open(place.path("written"));
    let (file, source) = (file.unwrap(), place.tree());
    let (buffer, withheld) = HalfBuffer::new(HALF, b'n').unwrap();
    let clone = std::thread::scope(|scope| {
        // Ends with this closure, should it panic, so that the writer always does.
        let withheld = withheld;
        let writer = scope.spawn(|| file.write_all_at(buffer.bytes(), 0));
        withheld.wait_until_wanted().unwrap();
        place.let_it_grow_old("written");
        let (sender, copier_thread) = mpsc::channel();
        let source = &source;
        let copier = scope.spawn(move || {
            sender.send(gettid()).unwrap();
            place.begin_copied(source)
        });
        let thread = copier_thread.recv_timeout(BOUND).unwrap();
        wait_until("the copy, or its waiting", BOUND, || {
            Ok((copier.is_finished() || waits_for_the_file(thread)).then_some(()))
        })
        .unwrap();
        assert!(!writer.is_finished());
        drop(withheld);
        writer.join().unwrap().unwrap();
        copier.join().unwrap()
    });
    finish(place, clone);
}

/// `proc_pid_syscall(5)`: the number of the system call that a thread is blocked in comes first.
fn waits_for_the_file(thread: Pid) -> bool {
    let path = format!("/proc/self/task/{thread}/syscall");
    // It has ended when the file is gone.
    let text = fs::read_to_string(path).unwrap_or_default();
    let number = text.split(' ').next().and_then(|word| word.parse().ok());
    let reading = [
        libc::SYS_lseek,
        libc::SYS_pread64,
        libc::SYS_copy_file_range,
    ];
    reading.map(Some).contains(&number)
}
