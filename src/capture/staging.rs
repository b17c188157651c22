//! Files on their way into the clone, in a directory that must be empty in the end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};

/// The directory for what does not fit into memory.
pub struct Staging {
    directory: PathBuf,
    count: AtomicUsize,
}

impl Staging {
    /// `directory` is empty, ours, and on the file system of the clone.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            count: AtomicUsize::new(0),
        }
    }

    /// A path where nothing is yet.
    pub fn place(&self) -> StagedFile {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("freezeframe-{number}"));
        StagedFile { path }
    }

    pub fn create(&self) -> Result<(File, StagedFile)> {
        let staged = self.place();
        let path = &staged.path;
        let file = File::create_new(path)
            .with_context(|| format!("creating the staging file {}", path.display()))?;
        Ok((file, staged))
    }
}

/// A file in the staging directory. What is not moved away goes when this is dropped.
pub struct StagedFile {
    pub path: PathBuf,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // Moved to its place, it is no longer there.
        let _ = std::fs::remove_file(&self.path);
    }
}
