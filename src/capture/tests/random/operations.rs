//! Random operations on a small tree: few names, so that they meet.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};

use nix::libc;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, RenameFlags, Timespec, Timestamps, XattrFlags,
    fallocate, lremovexattr, lsetxattr, makedev, mknodat, renameat_with, utimensat,
};

use crate::capture::overlay_attributes::OPAQUE_ATTRIBUTE;
use crate::system::attributes::CAPABILITY_ATTRIBUTE;

const NAMES: [&str; 5] = ["a", "b", "c", "d", ".wh.e"];
const MOST_LEVELS: u64 = 3;
const LARGEST: u64 = 64 << 10;
/// `vfs_cap_data` of linux/capability.h, revision 2.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// An xorshift generator.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }

    fn byte(&mut self) -> u8 {
        self.0.to_le_bytes()[3]
    }

    fn path(&mut self, root: &Path) -> PathBuf {
        let levels = 1 + self.below(MOST_LEVELS);
        let mut path = root.to_owned();
        for _ in 0..levels {
            // The last name is rare.
            let bound = if self.below(10) == 0 { 5 } else { 4 };
            let index = usize::try_from(self.below(bound)).unwrap();
            path.push(NAMES[index]);
        }
        path
    }
}

/// Does something at a path.
type Operation = fn(&Path, &mut Random) -> io::Result<()>;

const ALONE: [Operation; 17] = [
    |path, random| write(path, &[random.byte(); 100]),
    |path, random| write(path, &vec![random.byte(); length(random)]),
    |path, _| fs::create_dir(path),
    |path, _| fs::create_dir_all(path),
    |path, random| open(path)?.write_all_at(&[random.byte(); 9], random.below(LARGEST)),
    |path, random| open(path)?.set_len(random.below(LARGEST)),
    |path, random| {
        allocate(
            path,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            random,
        )
    },
    |path, random| allocate(path, FallocateFlags::KEEP_SIZE, random),
    |path, random| allocate(path, FallocateFlags::empty(), random),
    |path, _| fs::remove_file(path),
    |path, _| fs::remove_dir_all(path),
    |path, random| symlink(NAMES[usize::try_from(random.below(5)).unwrap_or(0)], path),
    |path, random| {
        let mode = 0o400 + u32::from(random.byte());
        // Only what is no link: its target may be anywhere.
        if path.is_symlink() {
            return Ok(());
        }
        fs::set_permissions(path, Permissions::from_mode(mode))
    },
    |path, random| lchown(path, Some(random.byte().into()), Some(7)),
    |path, random| set_time(path, random),
    |path, random| {
        if path.is_dir() {
            return opaque(path, random);
        }
        open(path)?;
        let mut value = CAPABILITY;
        value[5] = random.byte();
        Ok(lsetxattr(
            path,
            CAPABILITY_ATTRIBUTE,
            &value,
            XattrFlags::empty(),
        )?)
    },
    |path, random| node(path, random),
];

/// Does something with two paths.
type OperationOnTwo = fn(&Path, &Path) -> io::Result<()>;

const ON_TWO: [OperationOnTwo; 3] = [
    |one, other| fs::rename(one, other),
    |one, other| Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?),
    |one, other| fs::hard_link(one, other),
];

/// Makes `count` attempts at changes below `root`; many are impossible, and do nothing.
pub fn change(root: &Path, random: &mut Random, count: u64) {
    for _ in 0..count {
        let path = random.path(root);
        let which = usize::try_from(random.below(24)).unwrap();
        let _ = match ALONE.get(which) {
            Some(operation) => operation(&path, random),
            None => ON_TWO[which % 3](&path, &random.path(root)),
        };
    }
}

fn length(random: &mut Random) -> usize {
    usize::try_from(random.below(LARGEST)).unwrap()
}

/// Waits for no reader of a FIFO.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    let file = options.custom_flags(libc::O_NONBLOCK).open(path);
    file?.write_all_at(bytes, 0)
}

fn open(path: &Path) -> io::Result<File> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    File::options()
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

fn allocate(path: &Path, flags: FallocateFlags, random: &mut Random) -> io::Result<()> {
    let (offset, length) = (random.below(LARGEST), 1 + random.below(LARGEST / 4));
    Ok(fallocate(open(path)?, flags, offset, length)?)
}

/// With parts of a second.
fn set_time(path: &Path, random: &mut Random) -> io::Result<()> {
    let time = Timespec {
        tv_sec: i64::try_from(random.below(2_000_000_000)).unwrap(),
        tv_nsec: 123_456_789,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn opaque(path: &Path, random: &mut Random) -> io::Result<()> {
    let value: &[u8] = match random.below(3) {
        0 => return Ok(lremovexattr(path, OPAQUE_ATTRIBUTE)?),
        1 => b"x",
        _ => b"y",
    };
    Ok(lsetxattr(
        path,
        OPAQUE_ATTRIBUTE,
        value,
        XattrFlags::empty(),
    )?)
}

/// A whiteout, another device or a FIFO.
fn node(path: &Path, random: &mut Random) -> io::Result<()> {
    let (kind, mode, device) = match random.below(4) {
        0 => (FileType::CharacterDevice, Mode::RUSR, makedev(1, 3)),
        1 => (FileType::Fifo, Mode::RUSR, 0),
        _ => (FileType::CharacterDevice, Mode::empty(), makedev(0, 0)),
    };
    Ok(mknodat(CWD, path, kind, mode, device)?)
}
