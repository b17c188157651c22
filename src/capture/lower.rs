//! The layers below a clone, merged as overlayfs merges them (kernel: filesystems/overlayfs.rst), but for redirections,
//! of which layers made from archives have none.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::directory::for_each_name;
use super::overlay_attributes::is_opaque;
use super::signature::{Kind, Signature};
use crate::system::attributes::Attributes;
use crate::system::check::Check;
use crate::system::tree::{self, Tree};
use crate::system::workers;

/// Names of one directory that a thread looks for before it takes more.
const NAMES_AT_ONCE: usize = 64;

/// The layers, the uppermost first.
pub struct Lower {
    layers: Vec<Tree>,
}

/// Which layers' directories are merged at one path, the uppermost first.
pub type Layers = Vec<usize>;

/// What the layers show under one name.
pub struct Below<'a> {
    /// The directory in which the uppermost layer that has it has it.
    pub parent: BorrowedFd<'a>,
    pub signature: Signature,
    /// Of a directory, those that are merged in it.
    pub layers: Layers,
}

/// One directory of the merged layers, open in each that has it.
pub struct Merged {
    directories: Vec<(usize, OwnedFd)>,
}

impl Lower {
    pub fn open(paths: &[PathBuf]) -> Result<Self> {
        let open = |path: &PathBuf| {
            Tree::open(path).with_context(|| format!("opening the layer {}", path.display()))
        };
        let layers = paths.iter().map(open).collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// The root directory is merged of all layers.
    pub fn root(&self) -> Layers {
        (0..self.layers.len()).collect()
    }

    pub fn directory(&self, layers: &[usize], path: &[u8]) -> io::Result<Merged> {
        let open = |layer: &usize| Ok((*layer, self.layers[*layer].directory(path)?));
        Ok(Merged {
            directories: layers.iter().map(open).collect::<io::Result<_>>()?,
        })
    }
}

impl Merged {
    /// `None` where no layer has the name, or the uppermost that says anything of it has a whiteout.
    pub fn look(&self, name: &[u8]) -> io::Result<Option<Below<'_>>> {
        let mut found: Option<Below> = None;
        for (layer, directory) in &self.directories {
            let parent = directory.as_fd();
            let signature = match tree::stat_at(parent, name) {
                Ok(stat) => Signature::of(&stat),
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            // No layer has a socket.
            let Some(signature) = signature.filter(|signature| signature.kind != Kind::Whiteout)
            else {
                break;
            };
            let is_directory = signature.kind == Kind::Directory;
            if !is_directory && found.is_some() {
                break;
            }
            let below = found.get_or_insert(Below {
                parent,
                signature,
                layers: Layers::new(),
            });
            if !is_directory {
                break;
            }
            below.layers.push(*layer);
            if is_opaque(&Attributes::at(parent, name)?)? {
                break;
            }
        }
        Ok(found)
    }

    /// The names that it shows but for those `known`.
    pub fn names_beside(
        &self,
        known: &HashSet<&[u8]>,
        check: &Check,
    ) -> Result<BTreeSet<Box<[u8]>>> {
        let mut names: BTreeSet<Box<[u8]>> = BTreeSet::new();
        for (_, directory) in &self.directories {
            for_each_name(directory.as_fd(), check, |name| {
                if !known.contains(name) {
                    names.insert(name.into());
                }
                Ok(())
            })?;
        }
        let names: Vec<_> = names.into_iter().collect();
        let shown = workers::map_each(&names, NAMES_AT_ONCE, |name| {
            check()?;
            Ok(self.look(name)?.is_some())
        })?;
        let shown = names.into_iter().zip(shown);
        Ok(shown
            .filter_map(|(name, shown)| shown.then_some(name))
            .collect())
    }
}
