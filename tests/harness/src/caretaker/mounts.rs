//! The mounts below a daemon's folder, and the loop device under its disk.

use crate::Result;
use crate::shell::{outcome, wait_until};
use anyhow::Context;
use rustix::mount::{UnmountFlags, unmount};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Unmounts the latest first, as later ones may lie on earlier ones.
pub fn unmount_all_below(folder: &Path) -> Result {
    for target in mounted_below(folder)?.iter().rev() {
        let busy = unmount(target, UnmountFlags::empty()).is_err();
        if busy {
            unmount(target, UnmountFlags::DETACH)
                .with_context(|| format!("unmounting {}", target.display()))?;
        }
    }
    Ok(())
}

/// Mount points of ours hold none of the characters that mountinfo escapes.
pub fn mounted_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let table = fs::read_to_string("/proc/self/mountinfo").context("reading the mounts")?;
    let targets = table
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(PathBuf::from);
    Ok(targets
        .filter(|target| target.starts_with(folder))
        .collect())
}

/// The kernel detaches the device when its last user is gone, which may lag behind.
pub fn wait_for_loop_device(folder: &Path) -> Result {
    let disk = folder.join("disk.img");
    if !disk.exists() {
        return Ok(());
    }
    wait_until(
        "the loop device being detached",
        Duration::from_secs(60),
        || {
            let devices = outcome(Command::new("losetup").arg("-j").arg(&disk))?.succeeded()?;
            Ok(devices.text().is_empty().then_some(()))
        },
    )
}
