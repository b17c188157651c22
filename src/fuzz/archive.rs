//! The layer writer's round trip: any tree, made on a disk, written as an archive and read back, is the same tree.
//!
//! The reader goes by POSIX's words (pax(1)) and shares nothing with the writer but the headers' layout.

mod description;
mod making;
mod reading;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use description::{Description, Inode, Kind};
use reading::ReadEntry;

use crate::capture::scan::Scan;
use crate::layer::archive::{Sink, write};
use crate::system::identity::unique_name;
use crate::system::tree::Tree;

const WHITEOUT_PREFIX: &str = ".wh.";

/// In the directory for temporary files.
pub fn archive(bytes: &[u8]) {
    round_trip(bytes, &std::env::temp_dir());
}

/// In a folder of `place`, where root may make devices.
fn round_trip(bytes: &[u8], place: &Path) {
    let description = Description::decode(bytes);
    let folder = Folder::new(place);
    making::make(&description, &folder.0);
    let mut tar = Vec::new();
    let tree = Tree::open(&folder.0).unwrap();
    let scan = Scan::of(&tree).unwrap();
    let count = write(&tree, &scan, &mut tar, &mut |_| Ok(())).unwrap();
    let entries = reading::read(&tar);
    assert_eq!(count, entries.len() as u64);
    assert_same(&description, &entries);
}

impl Sink for Vec<u8> {
    fn take_from(&mut self, file: &File, most: u64) -> io::Result<u64> {
        Ok(file.take(most).read_to_end(self)? as u64)
    }
}

/// A directory that is gone in the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(place: &Path) -> Self {
        let path = place.join(format!("freezeframe-{}", unique_name()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A failure to remove it must not hide why the test failed.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn assert_same(description: &Description, entries: &[ReadEntry]) {
    let mut expected = expected(description);
    let mut directories = BTreeSet::from([Vec::new()]);
    let mut first_names: BTreeMap<usize, &[u8]> = BTreeMap::new();
    for entry in entries {
        let path = entry.path.strip_suffix(b"/").unwrap_or(&entry.path);
        let name = path.escape_ascii();
        let parent = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        assert!(
            directories.contains(&path[..parent]),
            "{name} comes before its directory"
        );
        match expected.remove(path) {
            None => panic!("{name} is not in the tree, or twice in the archive"),
            Some(Expected::Whiteout) => assert_eq!(*entry, ReadEntry::whiteout(path)),
            Some(Expected::Inode(number)) => {
                let inode = &description.inodes[number];
                let first = *first_names.entry(number).or_insert(path);
                assert_eq!(
                    *entry,
                    wanted(path, inode, (first != path).then_some(first))
                );
                if matches!(inode.kind, Kind::Directory) {
                    directories.insert(path.to_vec());
                }
            }
        }
    }
    assert!(
        expected.is_empty(),
        "not in the archive: {:?}",
        expected.keys()
    );
}

enum Expected {
    Whiteout,
    Inode(usize),
}

/// What an archive has of a tree, by path.
fn expected(description: &Description) -> BTreeMap<Vec<u8>, Expected> {
    let mut expected = BTreeMap::new();
    for (path, number) in &description.names {
        let is_hidden = |name: &[u8]| name.starts_with(WHITEOUT_PREFIX.as_bytes());
        if path.split(|byte| *byte == b'/').any(is_hidden) {
            continue;
        }
        match &description.inodes[*number].kind {
            Kind::Socket => {}
            Kind::Whiteout => {
                expected.insert(whiteout_of(path), Expected::Whiteout);
            }
            _ => {
                expected.insert(path.clone(), Expected::Inode(*number));
            }
        }
    }
    expected
}

/// The path of the entry that removes `path`.
fn whiteout_of(path: &[u8]) -> Vec<u8> {
    let name = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |slash| slash + 1);
    [&path[..name], WHITEOUT_PREFIX.as_bytes(), &path[name..]].concat()
}

/// The permissions of a symbolic link are what they are.
fn mode(inode: &Inode) -> u32 {
    match inode.kind {
        Kind::Symlink(_) => 0o777,
        _ => inode.mode.into(),
    }
}

/// Later times are in no clone.
fn modified(inode: &Inode) -> u64 {
    const LATEST: u64 = i64::MAX.unsigned_abs() / 1_000_000_000;
    if inode.modified > LATEST {
        0
    } else {
        inode.modified
    }
}

/// The entry of an inode's first name, or of a further one.
fn wanted(path: &[u8], inode: &Inode, first: Option<&[u8]>) -> ReadEntry {
    let mut entry = ReadEntry {
        path: path.to_vec(),
        mode: mode(inode),
        owner: inode.owner,
        group: inode.group,
        modified: modified(inode),
        ..ReadEntry::whiteout(path)
    };
    if let Some(first) = first {
        entry.kind = b'1';
        entry.link = first.to_vec();
        if let Kind::File { capability, .. } = &inode.kind {
            entry.capability.clone_from(capability);
        }
        return entry;
    }
    match &inode.kind {
        Kind::Directory => {
            entry.kind = b'5';
            entry.path.push(b'/');
        }
        Kind::File {
            content,
            capability,
        } => {
            entry.content.clone_from(content);
            entry.capability.clone_from(capability);
        }
        Kind::Symlink(target) => {
            entry.kind = b'2';
            entry.link.clone_from(target);
        }
        Kind::Device { is_block, node } => {
            entry.kind = if *is_block { b'4' } else { b'3' };
            entry.node = *node;
        }
        Kind::Fifo => entry.kind = b'6',
        Kind::Whiteout | Kind::Socket => {}
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness::{Disk, FileSystem};

    #[test]
    fn the_corpus_is_the_same_on_every_file_system() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/archive");
        for file_system in [
            FileSystem::Tmpfs,
            FileSystem::Ext4,
            FileSystem::Xfs,
            FileSystem::Btrfs,
        ] {
            let disk = Disk::new(file_system).unwrap();
            for input in fs::read_dir(&corpus).unwrap() {
                let path = input.unwrap().path();
                println!("{} on {file_system:?}", path.display());
                round_trip(&fs::read(path).unwrap(), disk.path());
            }
        }
    }
}
