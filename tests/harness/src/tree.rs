//! Trees of files, compared entry by entry.
//!
//! A `Tree` has what an image is to preserve: type, mode, owner, content, whole-second
//! mtime, link targets, hard-link groups, device numbers, extended attributes. It has
//! not what the file system decides (sizes of directories, overlay's own attributes)
//! nor the root itself, of which layers say nothing.

mod read;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// By path from the tree's root.
    pub entries: BTreeMap<OsString, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    pub mode: u32,
    pub owner: (u32, u32),
    pub mtime: i64,
    /// The first path of the group, for files that have several names in the tree.
    pub linked_to: Option<OsString>,
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    File { size: u64, sha256: String },
    Directory,
    Symlink(OsString),
    CharacterDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Socket,
}

impl Tree {
    /// What `other` has differently, a line or two for each path; empty if they agree.
    pub fn differences(&self, other: &Self) -> String {
        let mut text = String::new();
        let paths: std::collections::BTreeSet<_> =
            self.entries.keys().chain(other.entries.keys()).collect();
        for path in paths {
            let (here, there) = (self.entries.get(path), other.entries.get(path));
            if here != there {
                let _ = writeln!(text, "{}\n  {}", path.display(), difference(here, there));
            }
        }
        text
    }

    /// Panics with the differences if there are any.
    pub fn assert_same(&self, other: &Self, what: &str) {
        let differences = self.differences(other);
        assert!(
            differences.is_empty(),
            "{what}: the trees differ\n{differences}"
        );
    }

    /// The tree without what lies at or below `path`.
    pub fn without(mut self, path: &str) -> Self {
        let below = format!("{path}/");
        let gone = |name: &str| name == path || name.starts_with(&below);
        self.entries
            .retain(|name, _| !name.to_str().is_some_and(gone));
        self
    }
}

fn difference(here: Option<&Entry>, there: Option<&Entry>) -> String {
    match (here, there) {
        (Some(here), Some(there)) => format!("{here:?}\n  {there:?}"),
        (Some(here), None) => format!("only in the first: {here:?}"),
        (None, Some(there)) => format!("only in the second: {there:?}"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::Path;

    fn make(folder: &Path) {
        fs::create_dir(folder.join("folder")).unwrap();
        fs::write(folder.join("folder/file"), "content").unwrap();
        fs::hard_link(folder.join("folder/file"), folder.join("again")).unwrap();
        symlink("nowhere", folder.join("link")).unwrap();
    }

    /// The differences after `change` was made to one of two equal trees.
    fn after(change: impl FnOnce(&Path)) -> String {
        let folder = tempfile::tempdir().unwrap();
        make(folder.path());
        let before = Tree::read(folder.path()).unwrap();
        assert_eq!(before.differences(&Tree::read(folder.path()).unwrap()), "");
        change(folder.path());
        before.differences(&Tree::read(folder.path()).unwrap())
    }

    #[test]
    fn every_kind_of_change_is_seen() {
        let seen = after(|folder| fs::write(folder.join("folder/file"), "CONTENT").unwrap());
        assert!(seen.contains("folder/file"), "{seen}");
        let mode = fs::Permissions::from_mode(0o4711);
        assert!(
            !after(|folder| fs::set_permissions(folder.join("again"), mode).unwrap()).is_empty()
        );
        assert!(!after(|folder| fs::remove_file(folder.join("link")).unwrap()).is_empty());
        assert!(!after(|folder| fs::write(folder.join("new"), "").unwrap()).is_empty());
    }

    #[test]
    fn a_hard_link_that_became_a_copy_is_seen() {
        let seen = after(|folder| {
            let modified = fs::metadata(folder.join("again"))
                .unwrap()
                .modified()
                .unwrap();
            fs::copy(folder.join("again"), folder.join("copy")).unwrap();
            fs::rename(folder.join("copy"), folder.join("again")).unwrap();
            fs::File::open(folder.join("again"))
                .unwrap()
                .set_modified(modified)
                .unwrap();
        });
        assert!(seen.contains("linked_to"), "{seen}");
    }
}
