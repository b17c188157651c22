//! Directory trees that somebody hostile may be changing while we walk them as root.
//!
//! Every path starts at a descriptor of the tree's root and is resolved beneath it, through no symbolic link and across
//! no mount (openat2(2)); one descriptor at a time is open however deep the tree. A path that is longer than the
//! kernel takes is an error: no image could be unpacked with it either.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Statx, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV);
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
/// Of a path that is moved out of the tree: each try meets another move only if that comes at the same moment.
const MOST_TRIES: usize = 100;
/// What getdents64(2) may return at once, in bytes.
const LISTING: usize = 64 << 10;
/// What makes an inode distinguishable from its own past: see `capture::signature`.
const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// The root directory of a tree.
pub struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens the directory `path`, which the caller vouches for.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty())?;
        Ok(Self { root })
    }

    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens the directory `path` beneath the root; the empty path is the root itself.
    pub fn directory(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let path = if path.is_empty() { b"." } else { path };
        open_beneath(self.root(), path, DIRECTORY | OFlags::NOATIME, BENEATH)
    }
}

/// Whether the kernel resolves paths beneath a directory (since Linux 5.6), and whoever confines us lets it.
pub fn resolves_beneath() -> bool {
    let opened = rustix::fs::openat2(
        CWD,
        c".",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
        BENEATH,
    );
    !matches!(opened, Err(Errno::NOSYS | Errno::PERM))
}

/// A path that is moved out of the tree while it is resolved gives the same error as a mount, which stays.
fn open_beneath(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    let path = OsStr::from_bytes(path);
    let open = || rustix::fs::openat2(directory, path, flags, Mode::empty(), resolve);
    let mut tries = (0..MOST_TRIES).map(|_| open());
    let opened = tries.find(|opened| !matches!(opened, Err(Errno::XDEV)));
    Ok(opened.unwrap_or(Err(Errno::XDEV))?)
}

/// Visits the names in a directory, but for `.` and `..`, in the order in which the file system has them.
pub fn for_each_name(
    directory: BorrowedFd<'_>,
    mut visit: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(LISTING);
    let mut listing = RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = listing.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            visit(name)?;
        }
    }
    Ok(())
}

/// The attributes of `name` itself, should it be a link. What is mounted there is an error, as where it is opened, since
/// Linux 5.8, which tells (statx(2)).
pub fn stat_at(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let found = rustix::fs::statx(directory, OsStr::from_bytes(name), flags, WANTED)?;
    if found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(Errno::XDEV.into());
    }
    Ok(found)
}

/// The attributes of what a descriptor is open on.
pub fn stat(file: BorrowedFd<'_>) -> io::Result<Statx> {
    Ok(rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, WANTED)?)
}

/// The target of the symbolic link that `handle` is on.
pub fn link_target(handle: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(handle, c"", Vec::new())?.into_bytes())
}

/// A handle on `name`, of whatever kind, if `accepts` takes its attributes: it is not opened (open(2), `O_PATH`).
pub fn handle_at(
    directory: BorrowedFd<'_>,
    name: &[u8],
    accepts: impl Fn(&Statx) -> bool,
) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Of the last component NOFOLLOW makes a handle; in a name there is no other.
    let resolve = BENEATH.difference(ResolveFlags::NO_SYMLINKS);
    let handle = open_beneath(directory, name, flags, resolve)?;
    if !accepts(&stat(handle.as_fd())?) {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(handle)
}

/// Opens the regular file or directory `name` for reading, if `accepts` takes its attributes; what else it may have become
/// by now is not opened (a device might act on that), and counts as absent.
pub fn open_at(
    directory: BorrowedFd<'_>,
    name: &[u8],
    accepts: impl Fn(&Statx) -> bool,
) -> io::Result<OwnedFd> {
    let handle = handle_at(directory, name, |attributes| {
        let kind = FileType::from_raw_mode(attributes.stx_mode.into());
        matches!(kind, FileType::RegularFile | FileType::Directory) && accepts(attributes)
    })?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOATIME | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}

/// Opens the regular file `name` for reading, in a tree that nobody else can touch.
pub fn open_own(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOATIME | OFlags::CLOEXEC;
    open_beneath(directory, name, flags, BENEATH)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::system::identity::unique_name;

    const OPENS: usize = 100_000;

    #[test]
    fn a_path_that_is_moved_out_while_it_is_resolved_is_there_or_absent() {
        let folder = std::env::temp_dir().join(format!("freezeframe-{}", unique_name()));
        let (inside, outside) = (folder.join("tree/top"), folder.join("outside"));
        fs::create_dir_all(inside.join("a/b/c")).unwrap();
        let tree = Tree::open(&folder.join("tree")).unwrap();
        let is_over = AtomicBool::new(false);
        let unexpected = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    fs::rename(&inside, &outside).unwrap();
                    fs::rename(&outside, &inside).unwrap();
                }
            });
            let mut errors = (0..OPENS).filter_map(|_| tree.directory(b"top/a/b/c").err());
            let unexpected = errors.find(|error| error.kind() != io::ErrorKind::NotFound);
            is_over.store(true, Ordering::Relaxed);
            unexpected
        });
        fs::remove_dir_all(&folder).unwrap();
        assert!(unexpected.is_none(), "{unexpected:?}");
    }
}
