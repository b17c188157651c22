//! Whether a container's own changes can be read from an overlay upper directory, and which one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, XFS_SUPER_MAGIC, statfs};

use super::Subject;
use crate::containerd::{Containerd, OverlayMount, TaskStatus};
use crate::system::mounts::{MountEntry, mounts_of};
use crate::system::same_file::is_same_file;

/// File systems on which a change time has been shown to move with every change that survives a syncfs.
const PROVEN: [FsType; 3] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC];
/// containerd's pkg/snapshotters and snapshotter options.
const ID_MAPPING_LABELS: [&str; 2] = [
    "containerd.io/snapshot/uidmapping",
    "containerd.io/snapshot/gidmapping",
];

/// The upper directory and the chain ID below it, or what stands in the way of reading it.
pub fn upper_directory(
    containerd: &Containerd,
    subject: &Subject,
) -> Result<Result<(PathBuf, String), String>> {
    let (snapshotter, key) = (&subject.snapshotter, &subject.snapshot_key);
    let Some(snapshot) = containerd.snapshot(snapshotter, key)? else {
        subject.ensure_not_removed(containerd)?;
        return Ok(Err(format!(
            "snapshot {key} of {snapshotter} does not exist"
        )));
    };
    if ID_MAPPING_LABELS
        .iter()
        .any(|label| snapshot.labels.contains_key(*label))
    {
        return Ok(Err("the snapshot's user IDs are mapped".to_owned()));
    }
    let mounts = containerd.snapshot_mounts(snapshotter, key)?;
    let Some(overlay) = OverlayMount::of(&mounts) else {
        return Ok(Err(format!(
            "snapshotter {snapshotter} does not mount it as an overlay"
        )));
    };
    Ok(match obstacle(containerd, subject, &overlay)? {
        Some(obstacle) => Err(obstacle),
        None => Ok((overlay.upper, snapshot.parent)),
    })
}

fn obstacle(
    containerd: &Containerd,
    subject: &Subject,
    overlay: &OverlayMount,
) -> Result<Option<String>> {
    let upper = &overlay.upper;
    if let Some(obstacle) = directory_obstacle(overlay) {
        return Ok(Some(obstacle));
    }
    if subject.task.status == TaskStatus::Idle {
        return Ok(idle_obstacle(overlay));
    }
    let pid = subject.task.pid;
    match mounts_of(pid) {
        Ok(mounts) => Ok(running_obstacle(mounts, upper)),
        Err(_) if containerd.has_ended(&subject.id, pid)? => Ok(idle_obstacle(overlay)),
        Err(error) => Ok(Some(format!("the mounts of process {pid}: {error}"))),
    }
}

fn directory_obstacle(overlay: &OverlayMount) -> Option<String> {
    let upper = &overlay.upper;
    if overlay.flags.iter().any(|flag| flag == "userxattr") {
        return Some("the overlay keeps its marks in user attributes".to_owned());
    }
    let missing = fs::metadata(upper).err();
    missing.map(|error| format!("upper directory {}: {error}", upper.display()))
}

/// Whether a file of this directory's file system is known to look different whenever it is.
pub fn is_proven(upper: &Path) -> Result<bool> {
    let stat = statfs(upper)
        .with_context(|| format!("asking for the file system of {}", upper.display()))?;
    Ok(PROVEN.contains(&stat.filesystem_type()))
}

/// Without a process there is only what a mount would be asked to do.
fn idle_obstacle(overlay: &OverlayMount) -> Option<String> {
    let asked = |flag: &String| flag == "redirect_dir=on" || flag == "metacopy=on";
    let merges = merges_by_default() || overlay.flags.iter().any(asked);
    merges.then(merged_view)
}

/// The process must see, as its root, the overlay whose upper directory we would read.
fn running_obstacle(mounts: Vec<MountEntry>, upper: &Path) -> Option<String> {
    let root = mounts
        .into_iter()
        .rev()
        .find(|mount| mount.mount_point == Path::new("/"));
    let Some(root) = root.filter(|root| root.kind == "overlay") else {
        return Some("the container's root is not an overlay".to_owned());
    };
    let mounted = root.option("upperdir");
    if !mounted.is_some_and(|mounted| is_same_file(&mounted, upper)) {
        return Some(
            "the container's root has another upper directory than its snapshot".to_owned(),
        );
    }
    let merges = root.has_option("redirect_dir=on") || root.has_option("metacopy=on");
    merges.then(merged_view)
}

fn merged_view() -> String {
    "overlayfs redirects directories here, so that the upper directory alone does not tell"
        .to_owned()
}

/// What a mount gets that says nothing (kernel: filesystems/overlayfs.rst, module parameters).
fn merges_by_default() -> bool {
    ["redirect_dir", "metacopy"].into_iter().any(|name| {
        fs::read_to_string(format!("/sys/module/overlay/parameters/{name}"))
            .is_ok_and(|value| value.trim() == "Y")
    })
}
