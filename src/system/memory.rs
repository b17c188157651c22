//! Memory for tests: a file's shared mapping, a buffer that a write waits for in its midst, and one of a write that the
//! kernel goes on with by itself.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// In milliseconds: only a test that fails waits so long.
const BOUND: u16 = 20_000;

struct Memory {
    address: *mut u8,
    length: usize,
}

// SAFETY: it belongs to nobody else, and is read and written by system calls and single stores.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn map(length: usize, flags: libc::c_int, descriptor: libc::c_int) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, wherever the kernel likes.
        let address =
            unsafe { libc::mmap(ptr::null_mut(), length, protection, flags, descriptor, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = address.cast();
        Ok(Self { address, length })
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, and nobody has its address any more.
        unsafe { libc::munmap(self.address.cast(), self.length) };
    }
}

/// The first bytes of a file, shared and writable.
pub struct SharedMapping(Memory);

impl SharedMapping {
    pub fn of(file: &File, length: usize) -> io::Result<Self> {
        Memory::map(length, libc::MAP_SHARED, file.as_raw_fd()).map(Self)
    }

    pub fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(offset + bytes.len() <= self.0.length);
        // SAFETY: within the mapping, as was just seen.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.address.add(offset), bytes.len()) }
    }
}

/// Bytes of which the second half is not there yet: a write of it lands the first half and then waits.
pub struct HalfBuffer(Memory);

/// Who reads a missing page waits until this is dropped, and then finds what the first half has.
pub struct Withheld {
    descriptor: OwnedFd,
    start: u64,
    content: Vec<u8>,
}

impl HalfBuffer {
    /// Both halves have `half` bytes, a multiple of the page size; the first is filled with `byte`.
    pub fn new(half: usize, byte: u8) -> io::Result<(Self, Withheld)> {
        let memory = Memory::map(2 * half, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        let start = memory.address as u64 + half as u64;
        let withheld = Withheld {
            descriptor: withhold(start, half as u64)?,
            start,
            content: vec![byte; half],
        };
        // SAFETY: within the mapping.
        unsafe { ptr::write_bytes(memory.address, byte, half) };
        Ok((Self(memory), withheld))
    }

    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped as long as we live, and nobody stores into it any more.
        unsafe { std::slice::from_raw_parts(self.0.address, self.0.length) }
    }
}

impl Withheld {
    /// Waits until somebody waits for what is missing.
    pub fn wait_until_wanted(&self) -> io::Result<()> {
        let mut descriptors = [PollFd::new(self.descriptor.as_fd(), PollFlags::POLLIN)];
        match poll(&mut descriptors, PollTimeout::from(BOUND))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Withheld {
    fn drop(&mut self) {
        const UFFDIO_COPY: libc::c_ulong = 0xc028_aa03;
        let (source, length) = (self.content.as_ptr() as u64, self.content.len() as u64);
        let mut copy = [self.start, source, length, 0, 0];
        // SAFETY: the structure consists of so many 64-bit numbers; should it fail, closing lets the reader find zeros.
        unsafe { libc::ioctl(self.descriptor.as_raw_fd(), UFFDIO_COPY as _, &mut copy) };
    }
}

/// userfaultfd(2), with the structures and numbers of linux/userfaultfd.h.
fn withhold(start: u64, length: u64) -> io::Result<OwnedFd> {
    const VERSION: u64 = 0xaa;
    const UFFDIO_API: libc::c_ulong = 0xc018_aa3f;
    const UFFDIO_REGISTER: libc::c_ulong = 0xc020_aa00;
    const MISSING_PAGES: u64 = 1;
    let flags = libc::O_CLOEXEC | libc::O_NONBLOCK;
    // SAFETY: takes flags, gives a descriptor.
    let raw = checked(unsafe { libc::syscall(libc::SYS_userfaultfd, flags) })?;
    let raw = i32::try_from(raw).map_err(io::Error::other)?;
    // SAFETY: it is new, and nobody else's.
    let descriptor = unsafe { OwnedFd::from_raw_fd(raw) };
    let mut version = [VERSION, 0, 0];
    let mut range = [start, length, MISSING_PAGES, 0];
    // SAFETY: both structures consist of so many 64-bit numbers.
    unsafe {
        checked(libc::ioctl(raw, UFFDIO_API as _, &mut version).into())?;
        checked(libc::ioctl(raw, UFFDIO_REGISTER as _, &mut range).into())?;
    }
    Ok(descriptor)
}

/// An asynchronous write, under way until its device has done it. The file is open for direct writing.
pub struct AsynchronousWrite {
    context: libc::c_ulong,
    memory: Memory,
}

impl AsynchronousWrite {
    /// Has the kernel write `length` bytes of `byte` at the file's beginning, with `io_submit(2)` and the layout of
    /// `linux/aio_abi.h` (on little-endian machines).
    pub fn submit(file: &File, length: usize, byte: u8) -> io::Result<Self> {
        const PWRITE: u64 = 1;
        let memory = Memory::map(length, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)?;
        // SAFETY: within the mapping.
        unsafe { ptr::write_bytes(memory.address, byte, length) };
        let mut context: libc::c_ulong = 0;
        // SAFETY: it writes one number there.
        checked(unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) })?;
        let write = Self { context, memory };
        let descriptor = u64::try_from(file.as_raw_fd()).map_err(io::Error::other)?;
        let (start, length) = (write.memory.address as u64, length as u64);
        let mut request = [0, 0, PWRITE | descriptor << 32, start, length, 0, 0, 0_u64];
        let requests = [&raw mut request];
        // SAFETY: one request of that layout; the memory that it names stays until `io_destroy` has waited for it.
        checked(unsafe { libc::syscall(libc::SYS_io_submit, context, 1, requests.as_ptr()) })?;
        Ok(write)
    }

    /// Waits for so long for the device to have done it; says whether it has.
    pub fn is_done_within(&self, seconds: i64) -> io::Result<bool> {
        let mut event = [0_i64; 4];
        let mut patience = [seconds, 0];
        let (event_at, patience_at) = (&raw mut event, &raw mut patience);
        // SAFETY: room for the one event and its time, both of 64-bit numbers.
        let count = checked(unsafe {
            libc::syscall(
                libc::SYS_io_getevents,
                self.context,
                1,
                1,
                event_at,
                patience_at,
            )
        })?;
        match (count, usize::try_from(event[2])) {
            (0, _) => Ok(false),
            (_, Ok(written)) if written == self.memory.length => Ok(true),
            _ => Err(io::Error::other(format!(
                "the write ended with {}",
                event[2]
            ))),
        }
    }
}

impl Drop for AsynchronousWrite {
    fn drop(&mut self) {
        // SAFETY: made by `submit`; it waits for what is under way, so nobody reads the memory any more.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

fn checked(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer)
}
