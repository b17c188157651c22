//! A file system of its own for a test that needs no daemon: gone when dropped, or when the process dies.

use crate::Result;
use crate::caretaker::Caretaker;
use crate::daemon::disk::mount_disk;
use crate::daemon::{FileSystem, Options};
use std::path::{Path, PathBuf};

/// Room enough for every file system; the image is sparse.
const MIB: u64 = 1024;

pub struct Disk {
    mounted: PathBuf,
    _caretaker: Caretaker,
}

impl Disk {
    pub fn new(file_system: FileSystem) -> Result<Self> {
        Self::of_size(file_system, MIB)
    }

    pub fn of_size(file_system: FileSystem, mib: u64) -> Result<Self> {
        let (folder, caretaker) = Caretaker::of_new_folder()?;
        mount_disk(
            &folder,
            &Options {
                file_system,
                disk_mib: mib,
                ..Options::default()
            },
        )?;
        Ok(Self {
            mounted: folder.join("disk"),
            _caretaker: caretaker,
        })
    }

    /// Its root directory.
    pub fn path(&self) -> &Path {
        &self.mounted
    }
}
