//! A shared, writable mapping of a file as a row of 64-bit words.
//!
//! The one unsafe place of the probe. Every access is atomic, so other processes
//! (the harness on the host, another mapping of the same file) see whole words, in
//! the order in which they were stored. Never unmapped: no user of it ever ends.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::AtomicU64;

pub type Words = &'static [AtomicU64];

/// Maps the first `length` bytes of `file`, which must be open for both reading and
/// writing, and at least that long.
pub fn shared(file: &File, length: usize) -> io::Result<Words> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let anywhere = std::ptr::null_mut();
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing.
    let address = unsafe {
        libc::mmap(
            anywhere,
            length,
            protection,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just mapped, `length` bytes long, aligned to a page, never unmapped; any
    // bytes are a valid word, and what other processes touch is only touched atomically.
    Ok(unsafe { std::slice::from_raw_parts(address.cast(), length / 8) })
}
