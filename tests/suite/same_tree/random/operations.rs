//! What a sequence is made of: few names, so that they meet, most of which the image has something under.

use crate::same_tree::ground::CAPABILITY;
use harness::image::Entry;
use proptest::prelude::*;
use proptest::sample::select;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags,
    lremovexattr, lsetxattr, makedev, mknodat, renameat_with, utimensat,
};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

/// Of everything that the image has.
const BASE_TIME: i64 = 1_600_000_000;
const MOST_OPERATIONS: usize = 16;

type Name = &'static str;

const NAMES: [Name; 22] = [
    "file",
    "file too",
    "capable",
    "large",
    "link",
    "fifo",
    "device",
    "empty",
    "folder",
    "folder/file",
    "folder/link",
    "folder/inner",
    "folder/inner/file",
    "folder/inner/file too",
    "other",
    "other/file",
    "new",
    "new/file",
    "new/inner",
    "other/new",
    "folder/inner/new",
    "odd\n\\\u{e4}\u{1b}",
];

/// What the image has in every folder.
pub fn furniture(folder: &str) -> Vec<Entry> {
    let at = |name: &str| format!("{folder}/{name}");
    let capable = Entry::file(&at("capable"), "capable\n").mode(0o755);
    vec![
        Entry::directory(folder),
        Entry::file(&at("file"), "linked twice\n"),
        Entry::hard_link(&at("file too"), &at("file")),
        capable.xattr("security.capability", &CAPABILITY),
        Entry::file(&at("large"), [7; 9000]),
        Entry::symlink(&at("link"), "file"),
        Entry::fifo(&at("fifo")),
        Entry::character_device(&at("device"), 1, 5),
        Entry::directory(&at("empty")),
        Entry::directory(&at("folder")).mode(0o2750).owner(3, 4),
        Entry::file(&at("folder/file"), "a file\n"),
        Entry::symlink(&at("folder/link"), "inner"),
        Entry::directory(&at("folder/inner")),
        Entry::file(&at("folder/inner/file"), "linked across\n"),
        Entry::hard_link(&at("folder/inner/file too"), &at("folder/inner/file")),
        Entry::directory(&at("other")),
        Entry::file(&at("other/file"), "another\n").owner(5, 6),
    ]
}

#[derive(Clone, Debug)]
pub enum Operation {
    Write(Name, u8, usize),
    WriteAt(Name, u8, u64),
    OpenForWriting(Name),
    SetLength(Name, u64),
    /// The content of the image's file in other letters, its time put back.
    Disguise(Name),
    MakeDirectory(Name),
    Remove(Name),
    RemoveAndRecreate(Name),
    Rename(Name, Name),
    Exchange(Name, Name),
    HardLink(Name, Name),
    Symlink(Name, Name),
    SetMode(Name, u32),
    SetOwner(Name, u32, u32),
    SetTime(Name, i64, i64),
    SetCapability(Name, bool),
    SetOtherAttribute(Name),
    MakeNode(Name, bool, u32),
    MakeFifo(Name),
    /// In that directory, under a name that the image has nowhere: see `entries`.
    MakeSocket(Name),
}

pub fn operations() -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..=MOST_OPERATIONS)
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::{
        Disguise, Exchange, HardLink, MakeDirectory, MakeFifo, MakeNode, MakeSocket,
        OpenForWriting, Remove, RemoveAndRecreate, Rename, SetCapability, SetLength, SetMode,
        SetOtherAttribute, SetOwner, SetTime, Symlink, Write, WriteAt,
    };
    let name = || select(&NAMES[..]);
    let time = select(
        &[
            (BASE_TIME, 0),
            (1_500_000_000, 500_000_000),
            (-5, 1),
            (9_999_999_999, 0),
        ][..],
    );
    let owner = || select(&[0, 1, 2_097_152, u32::MAX - 1][..]);
    prop_oneof![
        3 => (name(), any::<u8>(), 0..20_000_usize).prop_map(|(n, b, l)| Write(n, b, l)),
        1 => (name(), any::<u8>(), 0..20_000_u64).prop_map(|(n, b, o)| WriteAt(n, b, o)),
        2 => name().prop_map(OpenForWriting),
        1 => (name(), 0..20_000_u64).prop_map(|(n, l)| SetLength(n, l)),
        1 => name().prop_map(Disguise),
        3 => name().prop_map(MakeDirectory),
        3 => name().prop_map(Remove),
        2 => name().prop_map(RemoveAndRecreate),
        3 => (name(), name()).prop_map(|(n, m)| Rename(n, m)),
        1 => (name(), name()).prop_map(|(n, m)| Exchange(n, m)),
        3 => (name(), name()).prop_map(|(n, m)| HardLink(n, m)),
        2 => (name(), name()).prop_map(|(n, m)| Symlink(n, m)),
        2 => (name(), select(&[0, 0o644, 0o755, 0o2750, 0o4755, 0o1777][..])).prop_map(|(n, m)| SetMode(n, m)),
        2 => (name(), owner(), owner()).prop_map(|(n, u, g)| SetOwner(n, u, g)),
        2 => (name(), time).prop_map(|(n, (s, p))| SetTime(n, s, p)),
        1 => (name(), any::<bool>()).prop_map(|(n, is)| SetCapability(n, is)),
        1 => name().prop_map(SetOtherAttribute),
        1 => (name(), any::<bool>(), 1..100_u32).prop_map(|(n, is, m)| MakeNode(n, is, m)),
        1 => name().prop_map(MakeFifo),
        1 => name().prop_map(MakeSocket),
    ]
}

/// Attempts one; many are impossible where they come, and do nothing.
pub fn perform(operation: &Operation, folder: &Path) {
    let _ = attempt(operation, folder);
}

fn attempt(operation: &Operation, folder: &Path) -> io::Result<()> {
    let at = |name: Name| folder.join(name);
    match *operation {
        Operation::Write(name, byte, length) => fs_write(&at(name), &vec![byte; length]),
        Operation::WriteAt(name, byte, offset) => open(&at(name))?.write_all_at(&[byte; 9], offset),
        Operation::OpenForWriting(name) => open(&at(name)).map(drop),
        Operation::SetLength(name, length) => open(&at(name))?.set_len(length),
        Operation::Disguise(name) => disguise(&at(name)),
        Operation::MakeDirectory(name) => fs::create_dir(at(name)),
        Operation::Remove(name) => remove(&at(name)),
        Operation::RemoveAndRecreate(name) => {
            remove(&at(name))?;
            fs::create_dir(at(name))
        }
        Operation::Rename(name, other) => fs::rename(at(name), at(other)),
        Operation::Exchange(name, other) => Ok(renameat_with(
            CWD,
            at(name),
            CWD,
            at(other),
            RenameFlags::EXCHANGE,
        )?),
        Operation::HardLink(name, other) => fs::hard_link(at(name), at(other)),
        // Only ever to names below: nothing leads out of the folder.
        Operation::Symlink(name, target) => symlink(target, at(name)),
        Operation::SetMode(name, _) if at(name).is_symlink() => Ok(()),
        Operation::SetMode(name, mode) => {
            fs::set_permissions(at(name), Permissions::from_mode(mode))
        }
        Operation::SetOwner(name, user, group) => lchown(at(name), Some(user), Some(group)),
        Operation::SetTime(name, seconds, parts) => set_time(&at(name), seconds, parts),
        Operation::SetCapability(name, true) => {
            set_attribute(&at(name), CAPABILITY_NAME, &CAPABILITY)
        }
        Operation::SetCapability(name, false) => Ok(lremovexattr(at(name), CAPABILITY_NAME)?),
        Operation::SetOtherAttribute(name) => set_attribute(&at(name), "trusted.note", b"a note"),
        Operation::MakeNode(name, true, minor) => {
            make_node(&at(name), FileType::BlockDevice, minor)
        }
        Operation::MakeNode(name, false, minor) => {
            make_node(&at(name), FileType::CharacterDevice, minor)
        }
        Operation::MakeFifo(name) => make_node(&at(name), FileType::Fifo, 0),
        Operation::MakeSocket(name) => UnixListener::bind(at(name).join("socket")).map(drop),
    }
}

const CAPABILITY_NAME: &str = "security.capability";

/// A regular file alone: a device might act on it, and a FIFO wait.
fn options(path: &Path) -> io::Result<OpenOptions> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::ErrorKind::InvalidInput.into()),
        _ => {
            let mut options = File::options();
            options
                .write(true)
                .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
            Ok(options)
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    options(path)?.open(path)
}

fn fs_write(path: &Path, content: &[u8]) -> io::Result<()> {
    options(path)?
        .create(true)
        .truncate(true)
        .open(path)?
        .write_all_at(content, 0)
}

fn disguise(path: &Path) -> io::Result<()> {
    let file = open(path)?;
    let modified = file.metadata()?.modified()?;
    file.write_all_at(b"X", 0)?;
    file.set_modified(modified)
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_dir() && !path.is_symlink() {
        return fs::remove_dir_all(path);
    }
    fs::remove_file(path)
}

fn set_time(path: &Path, seconds: i64, parts: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: parts,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) -> io::Result<()> {
    Ok(lsetxattr(path, name, value, XattrFlags::empty())?)
}

fn make_node(path: &Path, kind: FileType, minor: u32) -> io::Result<()> {
    Ok(mknodat(CWD, path, kind, Mode::RUSR, makedev(1, minor))?)
}
