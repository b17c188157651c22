//! Files whose signatures cannot be trusted because of how a process of the container holds them.
//!
//! A store through a shared mapping moves the change time only when it faults; direct I/O that is in flight is waited
//! for by neither syncfs nor `SEEK_DATA`. Such files count as changed. They are known by the last component of their
//! path (a bind mount inside the container shows another path to them) and by inode number (hard links have other
//! names); both may catch a file too many, which costs a copy and no more.

use std::collections::HashSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::libc;

use super::signature::{Kind, Signature};
use crate::system::mounts::unescape;

/// The files that processes hold in such a way.
#[derive(Default)]
pub struct Writers {
    names: HashSet<Box<[u8]>>,
    inodes: HashSet<u64>,
}

impl Writers {
    /// Adds what the processes hold now. A process that ends meanwhile holds nothing any more.
    pub fn look(&mut self, processes: &[u32]) {
        for process in processes {
            self.look_at_mappings(*process);
            self.look_at_descriptors(*process);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.inodes.is_empty()
    }

    pub fn hold(&self, signature: &Signature, name: &[u8]) -> bool {
        signature.kind == Kind::File
            && (self.inodes.contains(&signature.inode) || self.names.contains(name))
    }

    /// `proc_pid_maps(5)`: `ADDRESS PERMISSIONS OFFSET DEVICE INODE PATH`.
    fn look_at_mappings(&mut self, process: u32) {
        let Ok(maps) = fs::read(format!("/proc/{process}/maps")) else {
            return;
        };
        for line in maps.split(|byte| *byte == b'\n') {
            let mut fields = line.splitn(6, |byte| *byte == b' ');
            let permissions = fields.nth(1).unwrap_or_default();
            if permissions.get(1) != Some(&b'w') || permissions.get(3) != Some(&b's') {
                continue;
            }
            let inode = fields
                .nth(2)
                .and_then(|field| std::str::from_utf8(field).ok());
            let inode = inode.and_then(|field| field.parse::<u64>().ok());
            self.inodes.extend(inode.filter(|inode| *inode != 0));
            let path = unescape(fields.next().unwrap_or_default().trim_ascii_start());
            self.add_name(Path::new(&path));
        }
    }

    fn look_at_descriptors(&mut self, process: u32) {
        let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fdinfo")) else {
            return;
        };
        for descriptor in descriptors.flatten() {
            let Ok(information) = fs::read_to_string(descriptor.path()) else {
                continue;
            };
            if !is_direct_and_writable(&information) {
                continue;
            }
            // The kernel tells the inode since 5.14; asking the file itself could wait for a process that is frozen.
            let inode = field(&information, "ino:").and_then(|inode| inode.parse::<u64>().ok());
            self.inodes.extend(inode);
            let link = format!("/proc/{process}/fd/{}", descriptor.file_name().display());
            if let Ok(target) = fs::read_link(&link) {
                self.add_name(&target);
            }
        }
    }

    fn add_name(&mut self, path: &Path) {
        if let Some(name) = path.file_name() {
            self.names.insert(name.as_bytes().into());
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

/// The open flags are an octal number.
fn is_direct_and_writable(information: &str) -> bool {
    let flags = field(information, "flags:")
        .and_then(|flags| i32::from_str_radix(flags, 8).ok())
        .unwrap_or(0);
    flags & libc::O_DIRECT != 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}
