//! Who may read a container's own snapshot: one commit at a time, and nobody while nerdctl's `rm` removes it.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::plan::{DirectPlan, Subject};
use crate::system::lock::DirectoryLock;

/// The label of the directory in which nerdctl keeps a container's state, its lock among it.
const STATE_DIRECTORY_LABEL: &str = "nerdctl/state-dir";

/// The directory that nerdctl locks for a commit or a removal of the container; made where it is missing, as nerdctl does.
/// `None` for a container that nerdctl keeps no state of: what it has kept goes with the container, and must not come back.
pub fn nerdctls_lock(subject: &Subject) -> Result<Option<PathBuf>> {
    let Some(directory) = state_directory(subject) else {
        return Ok(None);
    };
    let path = directory.join("oplock");
    match DirBuilder::new().mode(0o700).create(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => created.with_context(|| format!("creating {}", path.display()))?,
    }
    Ok(Some(path))
}

/// nerdctl names it for the container; a label that a pod's container has from its image may lead anywhere.
fn state_directory(subject: &Subject) -> Option<&Path> {
    let directory = Path::new(subject.labels.get(STATE_DIRECTORY_LABEL)?);
    (directory.is_absolute() && directory.ends_with(&subject.id)).then_some(directory)
}

/// Held from before the first scan until after the thaw.
pub struct Locks {
    _state: Option<DirectoryLock>,
    _upper: DirectoryLock,
}

impl Locks {
    /// Keeps other commits, and nerdctl's `rm`, away from the container's own snapshot.
    pub fn acquire(subject: &Subject, plan: &DirectPlan) -> Result<Self> {
        let state = nerdctls_lock(subject)?.map(|path| DirectoryLock::acquire(&path));
        Ok(Self {
            _state: state.transpose()?,
            _upper: DirectoryLock::acquire(&plan.upper)?,
        })
    }
}
