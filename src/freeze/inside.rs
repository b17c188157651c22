//! Whether this process runs inside the container to be committed: it would freeze itself, and never thaw.

use anyhow::{Result, ensure};

use super::Freezer;
use crate::containerd::{Containerd, OverlayMount};
use crate::plan::Subject;
use crate::system::mounts::{our_mounts, root_of};

const INSIDE: &str = "this process runs inside the container to be committed and would freeze itself: run the commit from \
     outside, or use --pause=false";

/// To be asked before anything is done for a pause, whoever makes it.
///
/// # Errors
/// We are inside.
pub fn ensure_outside(containerd: &Containerd, subject: &Subject) -> Result<()> {
    let freezer = Freezer::of_container(containerd, subject, subject.task.pid)?;
    // A cgroup was found by the number of a process, so that numbers mean to us what they mean to containerd.
    if matches!(freezer, Freezer::Task(_)) {
        ensure!(!is_our_root(containerd, subject)?, INSIDE);
    }
    freezer.ensure_outside()
}

impl Freezer {
    pub(super) fn ensure_outside(&self) -> Result<()> {
        // One that has ended has no processes to ask for.
        let processes = self.processes().unwrap_or_default();
        ensure!(!processes.contains(&std::process::id()), INSIDE);
        Ok(())
    }
}

/// Where we have process numbers of our own, they say nothing of the container's; our root does.
fn is_our_root(containerd: &Containerd, subject: &Subject) -> Result<bool> {
    let (snapshotter, key) = (&subject.snapshotter, &subject.snapshot_key);
    let ours = our_mounts()?;
    let Some(upper) = root_of(ours).and_then(|root| root.upper()) else {
        return Ok(false);
    };
    if snapshotter.is_empty() || containerd.snapshot(snapshotter, key)?.is_none() {
        return Ok(false);
    }
    let mounts = containerd.snapshot_mounts(snapshotter, key)?;
    Ok(OverlayMount::of(&mounts).is_some_and(|overlay| overlay.upper == upper))
}
