//! What is left on a daemon's disk when the power goes.

use super::{Daemon, FileSystem};
use crate::Result;
use crate::shell::outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

impl Daemon {
    /// Takes the disk away from everything that runs on it, so that what is not written to it by now is lost, and mounts a
    /// copy of what it holds. `file_system` is that of the disk: ext4 or xfs.
    pub fn disk_after_power_cut(&self, file_system: FileSystem) -> Result<PathBuf> {
        // ext4 has xfs's call for that as well (`EXT4_IOC_SHUTDOWN`).
        let mut cut = Command::new("xfs_io");
        outcome(cut.args(["-x", "-c", "shutdown"]).arg(self.disk()))?.succeeded()?;
        let (disk, copy) = (self.folder.join("disk.img"), self.folder.join("after.img"));
        let mut copying = Command::new("cp");
        outcome(copying.arg("--sparse=always").args([&disk, &copy]))?.succeeded()?;
        let target = self.new_folder("after")?;
        mount(file_system, &copy, &target)?;
        Ok(target)
    }
}

/// Beside the disk that it is a copy of, which xfs has to be told of.
fn mount(file_system: FileSystem, image: &Path, target: &Path) -> Result {
    let options = match file_system {
        FileSystem::Xfs => "loop,nouuid",
        _ => "loop",
    };
    let mut mount = Command::new("mount");
    mount.args(["-t", file_system.name(), "-o", options]);
    outcome(mount.arg(image).arg(target))?.succeeded()?;
    Ok(())
}
