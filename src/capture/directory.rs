//! One directory of a tree that may be changing: the names in it that a layer can carry, and what they lead to.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result};

use super::signature::Signature;
use crate::plan::if_mounted_over;
use crate::system::check::Check;
use crate::system::clock::Moment;
use crate::system::text::printable;
use crate::system::tree::{self, Tree};

/// Names that are read between two questions whether to go on.
const NAMES_AT_ONCE: usize = 1024;
/// Names that every reader of layers takes for whiteouts (OCI image specification, layer.md): no layer can carry them.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";

pub fn root_signature(tree: &Tree) -> Result<Signature> {
    let root = tree::stat(tree.root()).context("reading the root of a tree")?;
    Signature::of(&root).context("the root of a tree is a socket")
}

/// What is in one directory.
pub struct Content {
    names: Vec<u8>,
    /// With the length of the name.
    entries: Vec<(usize, Signature)>,
    pub unrepresentable: usize,
    /// The clock just before reading; `None` if it was not the directory that was looked at, or not read to its end.
    pub read_at: Option<Moment>,
}

impl Content {
    fn empty() -> Self {
        Self {
            names: Vec::new(),
            entries: Vec::new(),
            unrepresentable: 0,
            read_at: None,
        }
    }

    /// A directory that changes while it is read in several pieces may tell a name twice (readdir(3p)).
    fn forget_repetitions(&mut self) {
        let mut told = HashSet::with_capacity(self.entries.len());
        let is_first: Vec<bool> = self.entries().map(|(name, _)| told.insert(name)).collect();
        if told.len() == self.entries.len() {
            return;
        }
        let mut firsts = Self::empty();
        for ((name, signature), is_first) in self.entries().zip(is_first) {
            if is_first {
                firsts.names.extend_from_slice(name);
                firsts.entries.push((name.len(), *signature));
            }
        }
        (self.names, self.entries) = (firsts.names, firsts.entries);
    }

    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &Signature)> {
        let mut rest = &self.names[..];
        self.entries.iter().map(move |(length, signature)| {
            let (name, others) = rest.split_at(*length);
            rest = others;
            (name, signature)
        })
    }
}

/// Reads the directory `path`, which looked like `signature` when it was found.
pub fn read(tree: &Tree, path: &[u8], signature: &Signature, check: &Check) -> Result<Content> {
    check()?;
    match read_content(tree, path, signature, check) {
        Ok(content) => Ok(content),
        Err(error) if has_vanished(&error) => Ok(Content::empty()),
        Err(error) => Err(explain(error, path)),
    }
}

/// What a check said, among the errors of system calls.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(anyhow::Error);

/// Has `visit` see every name in an open directory; `check` is asked now and then.
pub fn for_each_name(
    directory: BorrowedFd<'_>,
    check: &Check,
    mut visit: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut count = 0_usize;
    tree::for_each_name(directory, |name| {
        count += 1;
        if count.is_multiple_of(NAMES_AT_ONCE) {
            check().map_err(|error| io::Error::other(Refused(error)))?;
        }
        visit(name)
    })
}

/// Why a directory cannot be read.
pub fn explain(error: io::Error, path: &[u8]) -> anyhow::Error {
    let error = match error.downcast() {
        Ok(Refused(error)) => return error,
        Err(error) => error,
    };
    if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) {
        return anyhow::anyhow!(
            "the container has a path of more than 4,095 bytes, which no image can carry: {}…",
            printable(&path[..path.len().min(200)])
        );
    }
    let error = anyhow::Error::from(error);
    if_mounted_over(error.context(format!("reading directory /{}", printable(path))))
}

fn read_content(
    tree: &Tree,
    path: &[u8],
    signature: &Signature,
    check: &Check,
) -> io::Result<Content> {
    let mut content = Content::empty();
    let directory = tree.directory(path)?;
    let read_at = clock_if_still(directory.as_fd(), signature)?;
    for_each_name(directory.as_fd(), check, |name| {
        if name.starts_with(WHITEOUT_PREFIX) {
            content.unrepresentable += 1;
            return Ok(());
        }
        if let Some(signature) = look_at(directory.as_fd(), name)? {
            content.names.extend_from_slice(name);
            content.entries.push((name.len(), signature));
        }
        Ok(())
    })?;
    content.forget_repetitions();
    content.read_at = read_at;
    Ok(content)
}

/// The clock before an open directory is read, if it looks like `signature`: another may have taken its place, and give it
/// back, and of that one the change time says nothing.
pub fn clock_if_still(
    directory: BorrowedFd<'_>,
    signature: &Signature,
) -> io::Result<Option<Moment>> {
    let now = Signature::of(&tree::stat(directory)?);
    let is_same = now.is_some_and(|now| now.agrees_with(signature));
    Ok(is_same.then(Moment::stamped_now))
}

/// What an entry looks like; `None` if it has vanished or is a socket.
pub fn look_at(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<Option<Signature>> {
    match tree::stat_at(directory, name) {
        Ok(stat) => Ok(Signature::of(&stat)),
        Err(error) if has_vanished(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether somebody removed it, or put something else in its place, since its name was read.
pub fn has_vanished(error: &io::Error) -> bool {
    use nix::libc::{ELOOP, ENOTDIR, ENXIO, ESTALE};
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::NotFound
        || matches!(code, Some(ENOTDIR | ELOOP | ESTALE | ENXIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_stops_the_reading_of_a_directory_and_says_why() {
        let folder = harness::TempDir::new().unwrap();
        for name in 0..=NAMES_AT_ONCE {
            std::fs::write(folder.path().join(name.to_string()), "").unwrap();
        }
        let tree = Tree::open(folder.path()).unwrap();
        let signature = root_signature(&tree).unwrap();
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let check = move || {
            let before = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            anyhow::ensure!(before == 0, "enough of it");
            Ok(())
        };
        let stopped = read(&tree, b"", &signature, &check).err().unwrap();
        assert_eq!(format!("{stopped:#}"), "enough of it");
    }

    #[test]
    fn of_a_name_that_was_told_twice_the_first_stays() {
        let tree = Tree::open(std::path::Path::new("/")).unwrap();
        let mut first = root_signature(&tree).unwrap();
        let mut content = Content::empty();
        let names: Vec<String> = (0..20).map(|name| name.to_string()).collect();
        for name in names.iter().chain(&names[3..5]) {
            content.names.extend(name.as_bytes());
            content.entries.push((name.len(), first));
            first.links += 1;
        }
        let expected: Vec<_> = content.entries.clone();
        content.forget_repetitions();
        let told = content.entries().map(|(name, _)| name);
        assert!(told.eq(names.iter().map(String::as_bytes)));
        assert_eq!(content.entries, expected[..20]);
    }
}
