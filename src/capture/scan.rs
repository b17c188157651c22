//! A scan: what a tree looks like at one moment, by attributes alone; no file is opened.
//!
//! Directories are read level by level, on all processors where a level is wide. A directory that vanishes while the
//! container runs is scanned as empty: the scan under the freeze decides. Left out are sockets, which no
//! layer has, and names that mean something else in a layer.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};

use super::signature::{Kind, Signature};
use crate::system::text::printable;
use crate::system::tree::{self, Tree};

/// Names that every reader of layers takes for whiteouts (OCI image specification, layer.md): no layer can carry them.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// Narrower levels are not worth a thread.
const DIRECTORIES_PER_THREAD: usize = 64;
const MOST_THREADS: usize = 8;
pub const ROOT: usize = 0;

#[derive(Clone, Debug)]
pub struct Node {
    parent: usize,
    pub name: Box<[u8]>,
    pub kind: Kind,
    pub signature: Signature,
    children: Range<usize>,
}

impl Node {
    /// Whether other names may lead to the same inode.
    pub fn has_other_links(&self) -> bool {
        let shares = !matches!(self.kind, Kind::Directory | Kind::Whiteout);
        shares && self.signature.links > 1
    }
}

/// The entries of a tree, parents before children, the children of one directory together and sorted by name.
pub struct Scan {
    nodes: Vec<Node>,
    /// Entries left out because no layer can carry their names.
    pub unrepresentable: usize,
}

impl Scan {
    /// Scans `tree`; `check` is asked between directories.
    pub fn of(tree: &Tree, check: &Check) -> Result<Self> {
        let mut scan = Self::empty(tree)?;
        let mut level = vec![ROOT];
        while !level.is_empty() {
            level = scan.add_level(tree, &level, check)?;
        }
        Ok(scan)
    }

    /// A tree of which nothing is known yet but its root.
    pub fn empty(tree: &Tree) -> Result<Self> {
        let root = tree::stat(tree.root()).context("reading the root of a tree")?;
        Ok(Self {
            nodes: vec![Node {
                parent: ROOT,
                name: Box::default(),
                kind: Kind::Directory,
                signature: Signature::of(&root),
                children: 0..0,
            }],
            unrepresentable: 0,
        })
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    pub fn node(&self, index: usize) -> &Node {
        &self.nodes[index]
    }

    pub fn parent(&self, index: usize) -> usize {
        self.nodes[index].parent
    }

    pub fn children(&self, index: usize) -> Range<usize> {
        self.nodes[index].children.clone()
    }

    /// Makes the entry `name` of the root look as if it had changed at `moment`.
    #[cfg(test)]
    pub fn stamp(&mut self, name: &str, moment: crate::system::clock::Moment) {
        let mut children = self.children(ROOT);
        let index = children.find(|index| &*self.nodes[*index].name == name.as_bytes());
        self.nodes[index.unwrap()].signature.changed = moment;
    }

    /// All entries but the root.
    pub fn entries(&self) -> Range<usize> {
        1..self.nodes.len()
    }

    /// The path of an entry, from the tree's root, without a leading slash.
    pub fn path(&self, mut index: usize) -> Vec<u8> {
        let mut names = VecDeque::new();
        while index != ROOT {
            names.push_front(&*self.nodes[index].name);
            index = self.nodes[index].parent;
        }
        names.make_contiguous().join(&b'/')
    }

    /// Parents first, and each directory's content right after it, in the order of names.
    pub fn depth_first(&self) -> Vec<usize> {
        let mut order = Vec::with_capacity(self.nodes.len());
        let mut waiting = vec![ROOT];
        while let Some(index) = waiting.pop() {
            order.push(index);
            waiting.extend(self.children(index).rev());
        }
        order
    }

    /// Reads the directories of one level; returns those of the next.
    fn add_level(&mut self, tree: &Tree, level: &[usize], check: &Check) -> Result<Vec<usize>> {
        let contents = self.read_directories(tree, level, check)?;
        let mut next = Vec::new();
        for (&parent, content) in level.iter().zip(contents) {
            self.unrepresentable += content.unrepresentable;
            let first = self.nodes.len();
            for (name, signature, kind) in content.entries {
                if kind == Kind::Directory {
                    next.push(self.nodes.len());
                }
                self.nodes.push(Node {
                    parent,
                    name,
                    kind,
                    signature,
                    children: 0..0,
                });
            }
            self.nodes[parent].children = first..self.nodes.len();
        }
        Ok(next)
    }

    fn read_directories(
        &self,
        tree: &Tree,
        level: &[usize],
        check: &Check,
    ) -> Result<Vec<Content>> {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let threads = (level.len() / DIRECTORIES_PER_THREAD)
            .min(processors)
            .min(MOST_THREADS);
        let read = |part: &[usize]| -> Result<Vec<Content>> {
            part.iter()
                .map(|index| read_directory(tree, &self.path(*index), check))
                .collect()
        };
        if threads < 2 {
            return read(level);
        }
        let parts = level.chunks(level.len().div_ceil(threads));
        std::thread::scope(|scope| {
            let readers: Vec<_> = parts.map(|part| scope.spawn(|| read(part))).collect();
            let mut contents = Vec::with_capacity(level.len());
            for reader in readers {
                match reader.join() {
                    Ok(part) => contents.extend(part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(contents)
        })
    }
}

/// Asked again and again whether to go on.
pub type Check = dyn Fn() -> Result<()> + Sync;

/// What is in one directory.
#[derive(Default)]
struct Content {
    entries: Vec<(Box<[u8]>, Signature, Kind)>,
    unrepresentable: usize,
}

fn read_directory(tree: &Tree, path: &[u8], check: &Check) -> Result<Content> {
    check()?;
    let mut content = match read_content(tree, path) {
        Ok(content) => content,
        Err(error) if has_vanished(&error) => return Ok(Content::default()),
        Err(error) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => bail!(
            "the container has a path of more than 4,095 bytes, which no image can carry: {}…",
            printable(&path[..path.len().min(200)])
        ),
        Err(error) => {
            return Err(error).with_context(|| format!("reading directory /{}", printable(path)));
        }
    };
    content
        .entries
        .sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    Ok(content)
}

fn read_content(tree: &Tree, path: &[u8]) -> io::Result<Content> {
    let directory = tree.directory(path)?;
    let mut content = Content::default();
    for name in tree::names(directory.as_fd())? {
        if name.starts_with(WHITEOUT_PREFIX) {
            content.unrepresentable += 1;
            continue;
        }
        let signature = match tree::stat_at(directory.as_fd(), &name) {
            Ok(stat) => Signature::of(&stat),
            Err(error) if has_vanished(&error) => continue,
            Err(error) => return Err(error),
        };
        if let Some(kind) = signature.kind() {
            content.entries.push((name, signature, kind));
        }
    }
    Ok(content)
}

/// Whether somebody removed it, or put something else in its place, since its name was read.
pub fn has_vanished(error: &io::Error) -> bool {
    use nix::libc::{ELOOP, ENOTDIR, ENXIO, ESTALE};
    let code = error.raw_os_error();
    error.kind() == io::ErrorKind::NotFound
        || matches!(code, Some(ENOTDIR | ELOOP | ESTALE | ENXIO))
}
