//! Direct I/O that is under way from before the scan until after the copy: nothing waits for it, and when it lands no change
//! time moves.
//!
//! The disk is slow for one thread alone, by the throttle of cgroup version 1. Where there is none, the test says so and
//! checks nothing. btrfs writes with threads of its own, which the throttle does not reach.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use harness::{Disk, FileSystem, skipped, wait_until};
use nix::libc;
use nix::unistd::gettid;

use super::place::{NOBODY, Place, disk};
use crate::capture::clone::Cloning;
use crate::system::identity::unique_name;
use crate::system::memory::AsynchronousWrite;
use crate::system::tree::Tree;

const LENGTH: usize = 64 << 10;
/// In bytes a second: were nobody to lift it, the write would last a minute.
const SLOW: u64 = 1024;
const PATIENCE: i64 = 100;
const CONTROLLER: &str = "/sys/fs/cgroup/blkio";
const BOUND: Duration = Duration::from_secs(20);

#[test]
fn direct_io_that_is_under_way_at_the_scan_and_lands_after_the_copy_is_in_the_clone() {
    lands_after_the_copy(|place, source, write| {
        let write = write();
        place.let_it_grow_old("direct");
        (place.begin(source, &[std::process::id()]), write)
    });
}

/// Nobody is seen to hold the file: its change time alone tells.
#[test]
fn direct_io_that_begins_after_the_scan_and_lands_after_the_copy_is_in_the_clone() {
    lands_after_the_copy(|place, source, write| {
        place.let_it_grow_old("direct");
        (place.begin(source, &[]), write())
    });
}

type Begun<'tree> = (Cloning<'tree>, AsynchronousWrite);

/// `begin` has the file "direct" written, before or after its scan.
fn lands_after_the_copy(
    begin: impl for<'tree> Fn(&Place, &'tree Tree, &dyn Fn() -> AsynchronousWrite) -> Begun<'tree>,
) {
    if !PathBuf::from(CONTROLLER)
        .join("blkio.throttle.write_bps_device")
        .exists()
    {
        skipped("no disk can be throttled on this machine");
        return;
    }
    for file_system in [
        FileSystem::Ext4,
        FileSystem::Ext4WholeSeconds,
        FileSystem::Xfs,
    ] {
        let disk = disk(file_system);
        let place = Place::on(&disk);
        let mut options = File::options();
        fs::write(place.path("direct"), vec![b'o'; LENGTH]).unwrap();
        options.write(true).custom_flags(libc::O_DIRECT);
        let file = options.open(place.path("direct")).unwrap();
        file.sync_all().unwrap();
        let throttle = Throttle::on(&disk);
        let submit = || AsynchronousWrite::submit(&file, LENGTH, b'n').unwrap();
        let source = place.tree();
        let (mut clone, write) = begin(&place, &source, &|| throttle.within(submit));
        clone.copy_scanned(NOBODY).unwrap();
        assert!(
            !write.is_done_within(0).unwrap(),
            "it was too fast to be under way"
        );
        drop(throttle);
        assert!(write.is_done_within(PATIENCE).unwrap());
        place.finish(clone);
    }
}

/// A cgroup whose threads write slowly to one disk; lifted and removed when dropped.
struct Throttle {
    cgroup: PathBuf,
    device: String,
}

impl Throttle {
    fn on(disk: &Disk) -> Self {
        let device = device_of(disk);
        let cgroup = PathBuf::from(CONTROLLER).join(format!("freezeframe-test-{}", unique_name()));
        fs::create_dir(&cgroup).unwrap();
        let throttle = Self { cgroup, device };
        throttle.set(SLOW);
        throttle
    }

    fn set(&self, bytes: u64) {
        let file = self.cgroup.join("blkio.throttle.write_bps_device");
        fs::write(file, format!("{} {bytes}", self.device)).unwrap();
    }

    /// What `action` gives on a thread of the cgroup's, which ends with it.
    fn within<T: Send>(&self, action: impl FnOnce() -> T + Send) -> T {
        let run = || {
            fs::write(self.cgroup.join("tasks"), gettid().to_string()).unwrap();
            action()
        };
        std::thread::scope(|scope| scope.spawn(run).join().unwrap())
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.set(0);
        // Its last thread may be ending yet.
        let removed = wait_until("the cgroup's removal", BOUND, || {
            Ok(fs::remove_dir(&self.cgroup).ok())
        });
        if let Err(error) = removed {
            eprintln!("{error:#}");
        }
    }
}

/// `MAJOR:MINOR` in `proc_pid_mountinfo(5)`.
fn device_of(disk: &Disk) -> String {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let path = disk.path().display().to_string();
    let mut lines = mounts.lines().map(|line| line.split(' '));
    lines
        .find_map(|mut fields| {
            let device = fields.nth(2)?;
            (fields.nth(1)? == path).then(|| device.to_owned())
        })
        .unwrap()
}
