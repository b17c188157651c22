//! A scan: what a tree looks like at one moment, by attributes alone; no file is opened.
//!
//! Directories are read level by level, on all processors where a level is wide. A directory that vanishes while the
//! container runs is scanned as empty: the scan under the freeze decides. Sockets are left out, as no layer has them.

use std::collections::VecDeque;
use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::os::fd::AsFd;

use anyhow::{Context, Result, bail};

use super::signature::{Kind, Signature};
use crate::system::tree::{self, Tree};

/// Names that every reader of layers takes for whiteouts (OCI image specification, layer.md): no layer can carry them.
const WHITEOUT_PREFIX: &[u8] = b".wh.";
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
        self.kind != Kind::Directory && self.signature.links > 1
    }

    pub fn has_whiteout_name(&self) -> bool {
        self.name.starts_with(WHITEOUT_PREFIX)
    }
}

/// The entries of a tree, parents before children, the children of one directory together and sorted by name.
pub struct Scan {
    nodes: Vec<Node>,
}

impl Scan {
    /// Scans `tree`; `check` is asked between directories.
    pub fn of(tree: &Tree, check: &(dyn Fn() -> Result<()> + Sync)) -> Result<Self> {
        let root =
            tree::stat(tree.root()).context("reading the root of the container's changes")?;
        let mut scan = Self {
            nodes: vec![Node {
                parent: ROOT,
                name: Box::default(),
                kind: Kind::Directory,
                signature: Signature::of(&root),
                children: 0..0,
            }],
        };
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
    fn add_level(
        &mut self,
        tree: &Tree,
        level: &[usize],
        check: &(dyn Fn() -> Result<()> + Sync),
    ) -> Result<Vec<usize>> {
        let paths: Vec<Vec<u8>> = level.iter().map(|index| self.path(*index)).collect();
        let contents = read_directories(tree, &paths, check)?;
        let mut next = Vec::new();
        for (&parent, content) in level.iter().zip(contents) {
            let first = self.nodes.len();
            for (name, signature, kind) in content {
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
}

type Content = Vec<(Box<[u8]>, Signature, Kind)>;

fn read_directories(
    tree: &Tree,
    paths: &[Vec<u8>],
    check: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Vec<Content>> {
    let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = (paths.len() / DIRECTORIES_PER_THREAD)
        .min(processors)
        .min(MOST_THREADS);
    let read = |part: &[Vec<u8>]| -> Result<Vec<Content>> {
        part.iter()
            .map(|path| read_directory(tree, path, check))
            .collect()
    };
    if threads < 2 {
        return read(paths);
    }
    let parts = paths.chunks(paths.len().div_ceil(threads));
    std::thread::scope(|scope| {
        let readers: Vec<_> = parts.map(|part| scope.spawn(|| read(part))).collect();
        let mut contents = Vec::with_capacity(paths.len());
        for reader in readers {
            match reader.join() {
                Ok(part) => contents.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(contents)
    })
}

fn read_directory(
    tree: &Tree,
    path: &[u8],
    check: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Content> {
    check()?;
    let mut content = match read_content(tree, path) {
        Ok(content) => content,
        Err(error) if has_vanished(&error) => return Ok(Vec::new()),
        Err(error) if error.raw_os_error() == Some(nix::libc::ENAMETOOLONG) => bail!(
            "the container has a path of more than 4,095 bytes, which no image can carry: {}…",
            crate::system::text::printable(&path[..path.len().min(200)])
        ),
        Err(error) => {
            return Err(error).with_context(|| {
                format!(
                    "reading directory /{}",
                    crate::system::text::printable(path)
                )
            });
        }
    };
    content.sort_unstable_by(|(one, ..), (other, ..)| one.cmp(other));
    Ok(content)
}

fn read_content(tree: &Tree, path: &[u8]) -> io::Result<Content> {
    let directory = tree.directory(path)?;
    let mut content = Vec::new();
    for name in tree::names(directory.as_fd())? {
        let signature = match tree::stat_at(directory.as_fd(), &name) {
            Ok(stat) => Signature::of(&stat),
            Err(error) if has_vanished(&error) => continue,
            Err(error) => return Err(error),
        };
        if let Some(kind) = signature.kind() {
            content.push((name, signature, kind));
        }
    }
    Ok(content)
}

/// Whether somebody removed it, or put something else in its place, since its name was read.
pub fn has_vanished(error: &io::Error) -> bool {
    use nix::libc::{ELOOP, ENOENT, ENOTDIR, ENXIO, ESTALE};
    matches!(
        error.raw_os_error(),
        Some(ENOENT | ENOTDIR | ELOOP | ESTALE | ENXIO)
    )
}
