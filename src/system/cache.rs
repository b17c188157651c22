//! What of a file the kernel holds in memory (cachestat(2), preadv2(2)), what it should (`posix_fadvise(2)`), and when
//! it writes (`sync_file_range(2)`).

use std::io::IoSliceMut;
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use rustix::fs::Advice;
use rustix::io::{Errno, ReadWriteFlags, preadv2};

/// What of a file is asked for, in bytes; of a longer one the kernel reads ahead by itself.
const MOST_AHEAD: u64 = 256 << 10;
/// How much of a file is given to the disk at a time.
pub const PORTION: u64 = 8 << 20;
/// Since Linux 6.5, on every architecture but MIPS and Alpha.
const SYS_CACHESTAT: libc::c_long = 451;

/// `struct cachestat_range` of linux/mman.h; a length of 0 means to the end.
#[repr(C)]
struct Range {
    offset: u64,
    length: u64,
}

/// `struct cachestat` of linux/mman.h, in pages.
#[derive(Default)]
#[repr(C)]
struct Statistics {
    cached: u64,
    dirty: u64,
    written_back: u64,
    evicted: u64,
    recently_evicted: u64,
}

/// What of a file is in memory, in bytes of whole pages.
pub struct Cached {
    pub all: u64,
    /// What of it is not on disk yet.
    pub unwritten: u64,
}

/// `None` where the kernel does not tell.
pub fn cached(file: BorrowedFd<'_>) -> Option<Cached> {
    let whole = Range {
        offset: 0,
        length: 0,
    };
    let mut found = Statistics::default();
    // SAFETY: the kernel reads one structure and fills the other, both of which have its layout and outlive the call.
    let answer = unsafe {
        libc::syscall(
            SYS_CACHESTAT,
            file.as_raw_fd(),
            &raw const whole,
            &raw mut found,
            0,
        )
    };
    (answer == 0).then(|| Cached {
        all: in_bytes(found.cached),
        unwritten: in_bytes(found.dirty + found.written_back),
    })
}

#[cfg(test)]
pub fn unwritten(file: BorrowedFd<'_>) -> Option<u64> {
    cached(file).map(|cached| cached.unwritten)
}

/// How much may wait to be written, in bytes, before the kernel begins to write of its own accord
/// (`nr_dirty_background_threshold` of `proc_vmstat(5)`, in pages; admin-guide/sysctl/vm.rst of the kernel's
/// documentation); nothing where it does not tell.
pub fn most_unwritten() -> u64 {
    let statistics = std::fs::read_to_string("/proc/vmstat").unwrap_or_default();
    let mut lines = statistics.lines();
    let pages = lines.find_map(|line| line.strip_prefix("nr_dirty_background_threshold "));
    let pages: Option<u64> = pages.and_then(|pages| pages.parse().ok());
    pages.map_or(0, in_bytes)
}

fn in_bytes(pages: u64) -> u64 {
    pages * rustix::param::page_size() as u64
}

/// How far a file has been given to the disk that is gone through from its beginning on.
#[derive(Default)]
pub struct Portions {
    reached: u64,
    given: u64,
}

impl Portions {
    /// Goes `count` bytes on: those before are not changed any more.
    pub fn advance(&mut self, file: BorrowedFd<'_>, count: u64) {
        self.reached += count;
        let new = self.reached - self.given;
        if new >= PORTION {
            start_writeback(file, self.given, new);
            self.given = self.reached;
        }
    }
}

/// Has the kernel begin to write `length` bytes of `file` from `offset` on to disk (`sync_file_range(2)`). Where it does
/// not, it will do so in its own time.
fn start_writeback(file: BorrowedFd<'_>, offset: u64, length: u64) {
    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else {
        return;
    };
    // SAFETY: no memory is handed over, and the descriptor is open as long as it is borrowed.
    let _ = unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}

/// Whether the beginning of `file` can be read without waiting for a disk. True where the file system does not tell.
fn is_at_hand(file: BorrowedFd<'_>) -> bool {
    let mut byte = [0];
    let read = preadv2(
        file,
        &mut [IoSliceMut::new(&mut byte)],
        0,
        ReadWriteFlags::NOWAIT,
    );
    read != Err(Errno::AGAIN)
}

/// Has files brought into memory together, as far as the sizes given here, if the first of them is not there: a disk has
/// many of them sooner than one after the other.
pub fn fetch(files: impl IntoIterator<Item = (OwnedFd, u64)>) {
    let mut files = files.into_iter().peekable();
    if files
        .peek()
        .is_none_or(|(first, _)| is_at_hand(first.as_fd()))
    {
        return;
    }
    for (file, size) in files {
        // Whoever reads it waits for it, whether or not it is under way by then.
        let _ = rustix::fs::fadvise(
            file,
            0,
            NonZero::new(size.min(MOST_AHEAD)),
            Advice::WillNeed,
        );
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::Duration;

    use harness::{Disk, FileSystem, skipped, wait_until};

    use super::*;

    const FILES: usize = 20;
    const PATIENCE: Duration = Duration::from_secs(10);

    fn files(disk: &Disk) -> Vec<File> {
        let open = |index: usize| File::open(disk.path().join(index.to_string())).unwrap();
        (0..FILES).map(open).collect()
    }

    #[test]
    fn what_is_not_in_memory_is_brought_there() {
        for file_system in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
            let disk = Disk::new(file_system).unwrap();
            for index in 0..FILES {
                fs::write(disk.path().join(index.to_string()), [7; 10_000]).unwrap();
            }
            for file in files(&disk) {
                assert!(is_at_hand(file.as_fd()));
                file.sync_all().unwrap();
                // A fast disk has it back before asking is over, as that begins to read.
                wait_until("the file out of memory", PATIENCE, || {
                    rustix::fs::fadvise(&file, 0, None, Advice::DontNeed).unwrap();
                    Ok((!is_at_hand(file.as_fd())).then_some(()))
                })
                .unwrap();
            }
            fetch(files(&disk).into_iter().map(|file| (file.into(), 10_000)));
            let are_at_hand = || files(&disk).iter().all(|file| is_at_hand(file.as_fd()));
            wait_until("the files", PATIENCE, || Ok(are_at_hand().then_some(()))).unwrap();
        }
    }

    #[test]
    fn a_file_that_is_gone_through_is_written_in_portions() {
        let disk = Disk::new(FileSystem::Ext4).unwrap();
        let path = disk.path().join("file");
        fs::write(&path, vec![7; 3 * usize::try_from(PORTION).unwrap()]).unwrap();
        let file = File::open(path).unwrap();
        let left = || unwritten(file.as_fd());
        let Some(all) = left() else {
            skipped("the kernel does not tell what is written");
            return;
        };
        assert_eq!(all, 3 * PORTION);
        let mut portions = Portions::default();
        portions.advance(file.as_fd(), PORTION - 1);
        assert_eq!(left(), Some(all));
        portions.advance(file.as_fd(), PORTION + 1);
        let is_written = || Ok((left() == Some(PORTION)).then_some(()));
        wait_until("two portions on disk", PATIENCE, is_written).unwrap();
    }

    #[test]
    fn the_kernel_tells_how_much_may_wait() {
        assert!(most_unwritten() >= rustix::param::page_size() as u64);
    }

    #[test]
    fn where_the_first_is_in_memory_the_others_are_left() {
        let disk = Disk::new(FileSystem::Ext4).unwrap();
        for index in 0..FILES {
            fs::write(disk.path().join(index.to_string()), [7; 10_000]).unwrap();
        }
        let mut asked = 0;
        let files = files(&disk).into_iter().inspect(|_| asked += 1);
        fetch(files.map(|file| (file.into(), 10_000)));
        assert_eq!(asked, 1);
    }
}
