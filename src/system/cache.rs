//! What of a file the kernel holds in memory (cachestat(2)).

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;

/// The same on every architecture (since Linux 6.5).
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

/// Pages of `file` that are not on disk yet; `None` where the kernel does not tell.
pub fn unwritten_pages(file: BorrowedFd<'_>) -> Option<u64> {
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
    (answer == 0).then(|| found.dirty + found.written_back)
}
