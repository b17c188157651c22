//! Files on their way into the clone, in a directory that must be empty in the end.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

/// Not to be mistaken for an error of the file that was to be copied, which may have vanished.
#[derive(Debug, thiserror::Error)]
#[error("creating the staging file {}", path.display())]
struct NotCreated {
    path: PathBuf,
    source: io::Error,
}

/// The directory for what does not fit into memory.
pub struct Staging {
    directory: PathBuf,
    count: AtomicUsize,
    given_up: Arc<Mutex<Vec<PathBuf>>>,
}

impl Staging {
    /// `directory` is empty, ours, and on the file system of the clone.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            count: AtomicUsize::new(0),
            given_up: Arc::default(),
        }
    }

    /// A path where nothing is yet.
    pub fn place(&self) -> StagedFile {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("freezeframe-{number}"));
        let given_up = Arc::clone(&self.given_up);
        StagedFile { path, given_up }
    }

    /// Removes what is not wanted any more.
    pub fn clean_up(&self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        for path in given_up.drain(..) {
            // Moved to its place, it is no longer there.
            let _ = std::fs::remove_file(path);
        }
    }

    pub fn create(&self) -> Result<(File, StagedFile)> {
        let staged = self.place();
        let path = &staged.path;
        let file = File::create_new(path).map_err(|source| NotCreated {
            path: path.clone(),
            source,
        })?;
        Ok((file, staged))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        self.clean_up();
    }
}

/// A file in the staging directory. Unless it is moved away, it goes with the first `clean_up` after this is dropped: under
/// a freeze, that of a large one would be waited for.
pub struct StagedFile {
    pub path: PathBuf,
    given_up: Arc<Mutex<Vec<PathBuf>>>,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.push(std::mem::take(&mut self.path));
    }
}
