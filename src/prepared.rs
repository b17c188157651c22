//! The new snapshot: an empty upper directory on the container's own layers, which becomes the clone. It is the one that
//! containerd has just made, and can be written to.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::containerd::{Containerd, OverlayMount};
use crate::plan::{DirectPlan, OutOfReach, Subject};
use crate::system::clock::Moment;

/// Has containerd make the snapshot, as `key`.
///
/// # Errors
/// `OutOfReach`.
pub fn prepare(
    containerd: &Containerd,
    subject: &Subject,
    plan: &DirectPlan,
    key: &str,
) -> Result<OverlayMount> {
    let before = Moment::stamped_now();
    let mounts = containerd.prepare_snapshot(&subject.snapshotter, key, &plan.parent)?;
    let overlay = OverlayMount::of(&mounts)
        .context("the snapshotter does not mount a new snapshot as an overlay")?;
    let upper = &overlay.upper;
    let is_new = *upper != plan.upper && is_empty_since(upper, before).unwrap_or(false);
    ensure!(is_new, OutOfReach::elsewhere(upper));
    OutOfReach::check_writable(upper)?;
    Ok(overlay)
}

/// Whether the directory is empty, and was made no earlier than `before`.
fn is_empty_since(directory: &Path, before: Moment) -> io::Result<bool> {
    let is_empty = directory.read_dir()?.next().is_none();
    let metadata = directory.metadata()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    let changed = Moment::new(metadata.ctime(), nanoseconds);
    // Some file systems know whole seconds alone.
    let is_new = changed >= before || nanoseconds == 0 && changed.seconds() == before.seconds();
    Ok(is_empty && is_new)
}
