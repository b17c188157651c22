//! One container that is committed by us and by the oracle, and what both made of it.

use super::{ORACLE, OURS, ground};
use crate::FREEZEFRAME;
use harness::{Commit, Container, Daemon, Entry, Kind, Result, Tree, View, commit_by_oracle};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a change leaves in the image, by ours and by the oracle's account.
pub struct Agreed {
    pub tree: Tree,
    pub commit: Commit,
}

impl Agreed {
    /// An entry below `/tree`.
    pub fn entry(&self, path: impl AsRef<[u8]>) -> &Entry {
        let path = [b"tree/", path.as_ref()].concat();
        let entry = self.tree.entries.get(OsStr::from_bytes(&path));
        entry.unwrap_or_else(|| panic!("the image has no {}", path.escape_ascii()))
    }

    /// `/tree` itself.
    pub fn root(&self) -> &Entry {
        &self.tree.entries[OsStr::new("tree")]
    }

    pub fn kind(&self, path: impl AsRef<[u8]>) -> &Kind {
        &self.entry(path).kind
    }

    pub fn has(&self, path: impl AsRef<[u8]>) -> bool {
        let path = [b"tree/", path.as_ref()].concat();
        self.tree.entries.contains_key(OsStr::from_bytes(&path))
    }
}

/// Lets `change` work on `/tree` of a running container, and compares what becomes of it.
pub fn after(change: impl FnOnce(&Path) -> Result) -> Result<Agreed> {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    change(&container.root()?.join("tree"))?;
    agree_on(&container)
}

/// The same by a script in `/tree`.
pub fn after_script(script: &str) -> Result<Agreed> {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.shell(&format!("cd /tree\n{script}"))?;
    agree_on(&container)
}

/// The same on the upper directory's `/tree` of a container that does not run.
pub fn after_tampering(change: impl FnOnce(&Path) -> Result) -> Result<Agreed> {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.shell("touch /tree/copied-up; rm /tree/copied-up")?;
    container.stop()?;
    change(&container.upper()?.join("tree"))?;
    agree_on(&container)
}

pub fn agree_on(container: &Container) -> Result<Agreed> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, OURS, &[])?.succeeded()?;
    agree_with(container, commit)
}

/// Compares what a commit of ours made with what the oracle makes.
pub fn agree_with(container: &Container, commit: Commit) -> Result<Agreed> {
    let daemon = container.daemon();
    commit_by_oracle(container, ORACLE)?;
    let tree = View::snapshot(daemon, ORACLE)?.tree()?;
    let snapshot = View::snapshot(daemon, OURS)?.tree()?;
    snapshot.assert_same(&tree, "our snapshot and the oracle's");
    let unpacked = View::unpacked(daemon, OURS)?.tree()?;
    unpacked.assert_same(&tree, "our layers and the oracle's snapshot");
    Ok(Agreed { tree, commit })
}
