//! The descriptors of other processes, as `/proc` shows them. What they are open on is never asked itself, as the answer
//! could be long in coming.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use rustix::io::Errno;

use super::tree::{self, Tree};

/// `enum kcmp_type` of linux/kcmp.h.
const KCMP_FILES: libc::c_ulong = 2;
/// Most paths are shorter.
const SHORT_PATH: usize = 256;
/// More than four lines of a word and a number take; a line for each lock may follow.
const BEGINNING: usize = 256;

/// Those of one thread. Whatever is asked fails where that has ended, or has closed what is asked about.
pub struct Descriptors {
    links: Tree,
    information: Tree,
}

impl Descriptors {
    /// `thread` is its directory, `/proc/PID/task/TID`.
    pub fn of_thread(thread: &Path) -> io::Result<Self> {
        Ok(Self {
            links: Tree::open(&thread.join("fd"))?,
            information: Tree::open(&thread.join("fdinfo"))?,
        })
    }

    /// Their numbers, in digits.
    pub fn numbers(&self) -> io::Result<Vec<Box<[u8]>>> {
        let mut numbers = Vec::new();
        tree::for_each_name(self.links.root(), |number| {
            numbers.push(number.into());
            Ok(())
        })?;
        Ok(numbers)
    }

    /// The path that it is open on, empty where it is longer than the kernel tells; `None` of what has none: a socket, a
    /// pipe (`proc_pid_fd(5)`).
    pub fn path(&self, number: &[u8]) -> io::Result<Option<PathBuf>> {
        let number = OsStr::from_bytes(number);
        let target = readlinkat(self.links.root(), number, Vec::with_capacity(SHORT_PATH));
        let path = match target {
            Err(Errno::NAMETOOLONG) => return Ok(Some(PathBuf::new())),
            target => PathBuf::from(OsString::from_vec(target?.into_bytes())),
        };
        Ok(path.has_root().then_some(path))
    }

    /// What the kernel says of it first (`proc_pid_fdinfo(5)`): position, flags, mount and inode. Of what is no file that can
    /// be long in coming: for an epoll it waits for a mutex.
    pub fn information(&self, number: &[u8]) -> io::Result<String> {
        let number = OsStr::from_bytes(number);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(self.information.root(), number, flags, Mode::empty())?;
        let mut beginning = [0; BEGINNING];
        let length = rustix::io::read(file, &mut beginning)?;
        Ok(String::from_utf8_lossy(&beginning[..length]).into_owned())
    }
}

/// Whether two threads have one table of descriptors (`kcmp(2)`); false where the kernel does not tell.
pub fn share_descriptors(one: u32, other: u32) -> bool {
    let [one, other] = [one, other].map(libc::c_ulong::from);
    // SAFETY: numbers alone are handed over.
    let answer = unsafe { libc::syscall(libc::SYS_kcmp, one, other, KCMP_FILES, 0, 0) };
    answer == 0
}
