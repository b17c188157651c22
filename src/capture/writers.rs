//! Files whose signatures cannot be trusted because of how a process of the container holds them.
//!
//! A store through a shared mapping moves the change time only when it faults; direct I/O that is in flight is waited
//! for by neither syncfs nor `SEEK_DATA`. Such files count as changed. They are known by the last component of their
//! path (a bind mount inside the container shows another path to them) and by inode number (hard links have other
//! names); both may catch a file too many, which costs a copy and no more.
//!
//! They are looked for before and after each scan, and not under the freeze: what is begun after the second look moves the
//! change time away from what was scanned (`worker::Settling`). What is under way meanwhile is seen by who holds the file;
//! nobody sees who has closed it, or given up its mapping, before the I/O that they have begun has ended, nor who holds it
//! as a file of its own `io_uring` (`IORING_REGISTER_FILES`) or under no name (a file of a lower layer that was removed, and
//! that has another one by now).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::libc;

use super::signature::{Kind, Signature};
use crate::system::descriptors::{Descriptors, share_descriptors};
use crate::system::identity::has_ended;
use crate::system::mounts::unescape;
use crate::system::signals;
use crate::system::workers;

/// Processes that one thread looks at before it takes more.
const PROCESSES_AT_ONCE: usize = 16;
/// Whoever has so much to be looked at that it takes longer, or has more names, is taken to hold all of its files.
const LONGEST_LOOK: Duration = Duration::from_secs(30);
const MOST_NAMES: usize = 500_000;
/// In bytes. The kernel prints paths that are too long to be opened (`PATH_MAX`) as well.
const LONGEST_LINE: usize = 64 << 10;

/// The files that processes hold in such a way.
#[derive(Default)]
pub struct Writers {
    names: HashSet<Box<[u8]>>,
    inodes: HashSet<u64>,
    /// Not all could be seen: any file may be held.
    is_blind: bool,
}

impl Writers {
    /// Adds what the processes hold now. A process that ends meanwhile holds nothing any more.
    ///
    /// # Errors
    /// A signal asks the commit to stop.
    pub fn look(&mut self, processes: &[u32]) -> Result<()> {
        if self.is_blind {
            return Ok(());
        }
        let until = Instant::now() + LONGEST_LOOK;
        let found = workers::map(processes.len(), PROCESSES_AT_ONCE, |range| {
            let mut look = Look::new(until);
            for process in &processes[range] {
                look.at(*process)?;
            }
            Ok(look.found)
        })?;
        for one in found {
            self.add(one);
        }
        Ok(())
    }

    fn add(&mut self, found: Self) {
        self.names.extend(found.names);
        self.inodes.extend(found.inodes);
        self.is_blind |= found.is_blind || self.names.len() > MOST_NAMES;
        if self.is_blind {
            self.names = HashSet::new();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.inodes.is_empty() && !self.is_blind
    }

    pub fn hold(&self, signature: &Signature, name: &[u8]) -> bool {
        signature.kind == Kind::File
            && (self.is_blind
                || self.inodes.contains(&signature.inode)
                || self.names.contains(name))
    }

    /// A line of `proc_pid_maps(5)`: `ADDRESS PERMISSIONS OFFSET DEVICE INODE PATH`.
    pub fn add_mapping(&mut self, line: &[u8]) {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let permissions = fields.nth(1).unwrap_or_default();
        if permissions.get(1) != Some(&b'w') || permissions.get(3) != Some(&b's') {
            return;
        }
        let inode = fields
            .nth(2)
            .and_then(|field| std::str::from_utf8(field).ok());
        let inode = inode.and_then(|field| field.parse::<u64>().ok());
        self.inodes.extend(inode.filter(|inode| *inode != 0));
        let path = fields.next().unwrap_or_default().trim_ascii_start();
        self.add_name(Path::new(&unescape(path)));
        // Line ends alone are escaped there: a name may have what looks like an escape.
        self.add_name(Path::new(OsStr::from_bytes(path)));
    }

    fn add_name(&mut self, path: &Path) {
        if let Some(name) = path.file_name() {
            self.names.insert(name.as_bytes().into());
        }
    }

    /// What was read, unless its process has ended or has closed it.
    fn unless_gone<T>(&mut self, read: io::Result<T>) -> Option<T> {
        if let Err(error) = &read {
            self.is_blind |= !has_ended(error);
        }
        read.ok()
    }
}

/// A look at some processes.
struct Look {
    found: Writers,
    until: Instant,
}

impl Look {
    fn new(until: Instant) -> Self {
        Self {
            found: Writers::default(),
            until,
        }
    }

    /// Whether more can be found out; nothing is left to be said of a container that may hold every file.
    fn goes_on(&mut self) -> Result<bool> {
        signals::check()?;
        self.found.is_blind |= Instant::now() > self.until || self.found.names.len() > MOST_NAMES;
        Ok(!self.found.is_blind)
    }

    fn at(&mut self, process: u32) -> Result<()> {
        let threads = self.threads(process);
        self.at_mappings(&threads)?;
        self.at_descriptors(&threads)
    }

    fn threads(&mut self, process: u32) -> Vec<PathBuf> {
        let threads = fs::read_dir(format!("/proc/{process}/task"));
        let threads = threads.and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let threads = self.found.unless_gone(threads).unwrap_or_default();
        threads.into_iter().map(|thread| thread.path()).collect()
    }

    /// Threads have their mappings in common; one that has ended shows none, though it be the first.
    fn at_mappings(&mut self, threads: &[PathBuf]) -> Result<()> {
        for thread in threads {
            let maps = File::open(thread.join("maps"));
            let Some(maps) = self.found.unless_gone(maps) else {
                continue;
            };
            if self.reads_mappings(BufReader::with_capacity(LONGEST_LINE, maps))? {
                break;
            }
        }
        Ok(())
    }

    /// Line by line; says whether there were any, as far as this thread lived to tell.
    fn reads_mappings(&mut self, mut maps: impl BufRead) -> Result<bool> {
        let mut line = Vec::new();
        let mut is_first = true;
        while self.goes_on()? {
            line.clear();
            let mut read = (&mut maps).take(LONGEST_LINE as u64);
            match self.found.unless_gone(read.read_until(b'\n', &mut line)) {
                None => return Ok(false),
                Some(0) => return Ok(!is_first),
                // What holds the file follows.
                Some(LONGEST_LINE) => self.found.is_blind = true,
                Some(_) => {
                    let line = line.strip_suffix(b"\n").unwrap_or(&line);
                    self.found.add_mapping(line);
                }
            }
            is_first = false;
        }
        Ok(true)
    }

    /// Threads have their descriptors in common as well, unless one has parted from the others (`unshare(2)`).
    fn at_descriptors(&mut self, threads: &[PathBuf]) -> Result<()> {
        let mut seen: Vec<u32> = Vec::new();
        for thread in threads {
            if !self.goes_on()? {
                break;
            }
            let name = thread.file_name().and_then(OsStr::to_str);
            let Some(number) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            if seen.iter().any(|other| share_descriptors(number, *other)) {
                continue;
            }
            seen.push(number);
            self.at_descriptors_of(thread)?;
        }
        Ok(())
    }

    fn at_descriptors_of(&mut self, thread: &Path) -> Result<()> {
        let descriptors = Descriptors::of_thread(thread);
        let Some(descriptors) = self.found.unless_gone(descriptors) else {
            return Ok(());
        };
        let numbers = self.found.unless_gone(descriptors.numbers());
        for number in numbers.unwrap_or_default() {
            if !self.goes_on()? {
                break;
            }
            self.at_descriptor(&descriptors, &number);
        }
        Ok(())
    }

    /// Sockets, pipes and the like have no path, and are not asked about.
    fn at_descriptor(&mut self, descriptors: &Descriptors, number: &[u8]) {
        let found = &mut self.found;
        let Some(Some(path)) = found.unless_gone(descriptors.path(number)) else {
            return;
        };
        let information = found.unless_gone(descriptors.information(number));
        let information = information.unwrap_or_default();
        if is_direct_and_writable(&information) {
            // The kernel tells it since 5.14.
            let inode = inode(&information);
            found.is_blind |= inode.is_none() && path.as_os_str().is_empty();
            found.inodes.extend(inode);
            found.add_name(&path);
        }
    }
}

/// `proc_pid_fdinfo(5)`: lines of `NAME: VALUE`.
fn field<'a>(information: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = information.lines();
    lines
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

pub fn inode(information: &str) -> Option<u64> {
    field(information, "ino:")?.parse().ok()
}

/// The open flags are an octal number.
pub fn is_direct_and_writable(information: &str) -> bool {
    let flags = field(information, "flags:")
        .and_then(|flags| i32::from_str_radix(flags, 8).ok())
        .unwrap_or(0);
    flags & libc::O_DIRECT != 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

#[cfg(test)]
impl Writers {
    pub fn blind() -> Self {
        Self {
            is_blind: true,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_ended_holds_nothing_and_who_cannot_be_seen_may_hold_all() {
        for (error, is_blind) in [
            (libc::ENOENT, false),
            (libc::ESRCH, false),
            (libc::EACCES, true),
            (libc::EMFILE, true),
        ] {
            let mut writers = Writers::default();
            let error = io::Error::from_raw_os_error(error);
            assert!(writers.unless_gone::<()>(Err(error)).is_none());
            assert_eq!(writers.is_empty(), !is_blind);
        }
    }

    fn look(maps: &[u8]) -> Look {
        let mut look = Look::new(Instant::now() + LONGEST_LOOK);
        look.reads_mappings(maps).unwrap();
        look
    }

    fn names(maps: &[u8]) -> Vec<String> {
        let names = look(maps).found.names;
        let mut names: Vec<_> = names
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        names.sort();
        names
    }

    fn line(path: &str) -> String {
        format!("7f00-7f01 rw-s 00000000 08:01 12      {path}\n")
    }

    #[test]
    fn names_in_maps_are_found_as_they_are_and_without_the_escapes_of_line_ends() {
        assert_eq!(names(line("/d/a b").as_bytes()), ["a b"]);
        assert_eq!(names(line("/d/a\\012b").as_bytes()), ["a\nb", "a\\012b"]);
        assert!(names(line("/d/a\\040b").as_bytes()).contains(&"a\\040b".to_owned()));
        assert!(names(line("").as_bytes()).is_empty());
        assert!(names(b"7f00-7f01 rw-p 00000000 08:01 12 /d/a\n").is_empty());
        assert_eq!(names((line("/d/a") + &line("/d/b")).as_bytes()), ["a", "b"]);
    }

    #[test]
    fn whoever_has_too_much_to_be_looked_at_may_hold_all() {
        let is_blind = |maps: String| look(maps.as_bytes()).found.is_blind;
        let deep = |depth: usize| line(&"/folder".repeat(depth));
        assert!(!is_blind(deep(9_000)));
        assert!(is_blind(deep(10_000)));
        let many = |count: usize| (0..count).map(|name| line(&format!("/{name}"))).collect();
        assert!(!is_blind(many(MOST_NAMES)));
        assert!(is_blind(many(MOST_NAMES + 1)));
        let mut late = Look::new(Instant::now());
        late.at(std::process::id()).unwrap();
        assert!(late.found.is_blind);
    }
}
