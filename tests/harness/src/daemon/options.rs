//! What a daemon may be asked to be.

use super::{Daemon, FileSystem};
use crate::Result;

pub struct Options {
    pub file_system: FileSystem,
    /// The file is sparse: a disk takes what is written, not what it could hold.
    pub disk_mib: u64,
    /// Of an ext4 that is to hold more files than its size suggests.
    pub inodes: Option<u64>,
    /// The disk has no second page cache, in the file below it, whose copying would be measured as well.
    pub direct_io: bool,
    /// containerd sees a unified cgroup hierarchy, whatever the machine has.
    pub unified_cgroups: bool,
    /// containerd serves the CRI as well, for `Pods`.
    pub cri: bool,
    /// What one namespace has, another one does not get without its bytes.
    pub isolated_content: bool,
    /// containerd collects what nobody owns when it is asked to, and not of itself.
    pub lazy_collection: bool,
    /// containerd's records of what it holds are on a file system of their own, `Daemon::records`, with so much room.
    pub records_kib: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            file_system: FileSystem::Ext4,
            disk_mib: 4096,
            inodes: None,
            direct_io: false,
            unified_cgroups: false,
            cri: false,
            isolated_content: false,
            lazy_collection: false,
            records_kib: None,
        }
    }
}

impl Options {
    pub fn start(&self) -> Result<Daemon> {
        Daemon::start_with(self)
    }
}
