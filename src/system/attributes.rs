//! Extended attributes (xattr(7)).
//!
//! A value is asked for only where its name is listed. btrfs notes that a file has no capability when it is asked for one
//! (since Linux 6.8: fs/btrfs/xattr.c, `BTRFS_INODE_NO_CAP_XATTR`): one that is being set just then would be seen by nobody,
//! the container neither, until the inode leaves memory.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lgetxattr, llistxattr, lsetxattr,
};
use rustix::io::Errno;

/// File capabilities (capabilities(7)).
pub const CAPABILITY_ATTRIBUTE: &str = "security.capability";

/// Most values, and lists of names, are shorter.
const SHORT: usize = 256;
/// What the kernel takes for a value, and gives as a list, at most (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`: linux/limits.h).
const LONGEST: usize = 64 << 10;

/// Those that an inode has.
pub struct Attributes<'file> {
    inode: Inode<'file>,
    /// Each ends in a zero. `None` where there are more than the kernel lists.
    names: Option<Vec<u8>>,
}

enum Inode<'file> {
    Open(BorrowedFd<'file>),
    At(PathBuf),
}

impl<'file> Attributes<'file> {
    pub fn of(file: BorrowedFd<'file>) -> io::Result<Self> {
        Self::list(Inode::Open(file))
    }

    /// Those of the entry `entry` of a directory, which may be of a kind that cannot be opened; no link is followed.
    pub fn at(directory: BorrowedFd<'file>, entry: &[u8]) -> io::Result<Self> {
        Self::list(Inode::At(path_beneath(directory, entry)))
    }

    fn list(inode: Inode<'file>) -> io::Result<Self> {
        let names = read(|names| match &inode {
            Inode::Open(file) => flistxattr(file, names),
            Inode::At(path) => llistxattr(path, names),
        });
        let names = match names {
            Err(Errno::TOOBIG) => None,
            Err(Errno::OPNOTSUPP) => Some(Vec::new()),
            names => Some(names?),
        };
        Ok(Self { inode, names })
    }

    /// The value of one of them, `None` where there is none (or the file system knows none).
    pub fn value(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !self.may_have(name) {
            return Ok(None);
        }
        let value = read(|value| match &self.inode {
            Inode::Open(file) => fgetxattr(file, name, value),
            Inode::At(path) => lgetxattr(path, name, value),
        });
        match value {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            value => Ok(Some(value?)),
        }
    }

    fn may_have(&self, name: &str) -> bool {
        let names = self.names.as_ref();
        names.is_none_or(|names| {
            let mut names = names.split(|byte| *byte == 0);
            names.any(|listed| listed == name.as_bytes())
        })
    }
}

fn read(call: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<Vec<u8>> {
    let mut bytes = vec![0; SHORT];
    let length = match call(&mut bytes) {
        Err(Errno::RANGE) => {
            bytes.resize(LONGEST, 0);
            call(&mut bytes)
        }
        length => length,
    };
    bytes.truncate(length?);
    Ok(bytes)
}

pub fn set(file: BorrowedFd<'_>, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(fsetxattr(file, name, value, XattrFlags::empty())?)
}

/// The same for the entry `entry` of a directory; no link is followed.
pub fn set_at(directory: BorrowedFd<'_>, entry: &[u8], name: &str, value: &[u8]) -> io::Result<()> {
    let path = path_beneath(directory, entry);
    Ok(lsetxattr(path, name, value, XattrFlags::empty())?)
}

/// Removes an attribute, if it is there.
pub fn remove(file: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    match fremovexattr(file, name) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        removed => Ok(removed?),
    }
}

/// Attributes are not to be had by directory and name before Linux 6.13.
fn path_beneath(directory: BorrowedFd<'_>, entry: &[u8]) -> PathBuf {
    let directory = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Path::new(&directory).join(OsStr::from_bytes(entry))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::thread;

    use harness::{Disk, FileSystem};

    use super::*;

    const CAPABILITY: &str = "security.capability";
    /// `vfs_cap_data` of linux/capability.h, revision 2.
    const VALUE: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_capability_that_is_set_while_we_look_is_seen_afterwards() {
        let disk = Disk::new(FileSystem::Btrfs).unwrap();
        for round in 0..100 {
            let path = disk.path().join(round.to_string());
            let file = File::create(path).unwrap();
            // A new inode is known to have none, until it gets one.
            set(file.as_fd(), CAPABILITY, &VALUE).unwrap();
            remove(file.as_fd(), CAPABILITY).unwrap();
            let look = || {
                Attributes::of(file.as_fd())
                    .unwrap()
                    .value(CAPABILITY)
                    .unwrap()
            };
            thread::scope(|scope| {
                scope.spawn(|| set(file.as_fd(), CAPABILITY, &VALUE).unwrap());
                while !has_name(&file) {
                    look();
                }
            });
            assert_eq!(look().as_deref(), Some(&VALUE[..]), "in round {round}");
        }
    }

    fn has_name(file: &File) -> bool {
        flistxattr(file, &mut [0; SHORT]) != Ok(0)
    }

    #[test]
    fn more_names_than_the_kernel_lists_do_not_hide_one() {
        let disk = Disk::new(FileSystem::Xfs).unwrap();
        let file = File::create(disk.path().join("file")).unwrap();
        for number in 0..300 {
            set(file.as_fd(), &format!("user.{number:0240}"), b"").unwrap();
        }
        set(file.as_fd(), CAPABILITY, &VALUE).unwrap();
        let attributes = Attributes::of(file.as_fd()).unwrap();
        assert!(attributes.names.is_none());
        let value = attributes.value(CAPABILITY).unwrap();
        assert_eq!(value.as_deref(), Some(&VALUE[..]));
        assert_eq!(attributes.value("user.other").unwrap(), None);
    }
}
