//! What dead commits left whose watchdogs are dead too, or stopped: containers that are frozen, and marks.
//!
//! To be seen to early, as nothing that comes later in a commit may stand in its way.

use std::path::Path;

use anyhow::Result;

use super::mark::AbandonedMark;
use super::{Freezer, Version};
use crate::containerd::{Containerd, Task, TaskStatus};
use crate::plan::Subject;

/// Thaws the container if a dead commit left it frozen, and removes marks of containers that are gone.
///
/// # Errors
/// It may still be frozen; the message names what thaws it.
pub fn clean_up_after_the_dead(containerd: &Containerd, subject: &Subject) -> Result<()> {
    let marks = AbandonedMark::all();
    if marks.is_empty() {
        return Ok(());
    }
    let gone = |mark: &AbandonedMark| mark.is_of_our_mounts() && names_a_cgroup_that_is_gone(mark);
    marks
        .into_iter()
        .filter(gone)
        .for_each(AbandonedMark::clear);
    thaw_abandoned(containerd, subject)
}

/// Thaws the container if a dead commit left it frozen.
pub fn thaw_abandoned(containerd: &Containerd, subject: &Subject) -> Result<()> {
    let task = containerd.task(&subject.id)?;
    if task.status == TaskStatus::Idle {
        return Ok(());
    }
    Freezer::of_container(containerd, subject, task.pid)?.thaw_if_abandoned(&task)
}

fn names_a_cgroup_that_is_gone(mark: &AbandonedMark) -> bool {
    let words = mark.name().split_once(' ');
    words.is_some_and(|(kind, directory)| {
        Version::named(kind).is_some() && !Path::new(directory).exists()
    })
}

impl Freezer {
    /// Thaws what a commit left frozen that is dead, and whose watchdog is dead or stopped. Where containerd knows of a
    /// pause of the same cgroup, which we did not make through it, somebody wants that.
    fn thaw_if_abandoned(&self, task: &Task) -> Result<()> {
        let Some(mark) = AbandonedMark::of(&self.name()) else {
            return Ok(());
        };
        let is_ours = match self {
            Self::Task(_) => true,
            Self::Cgroup(cgroup) => {
                task.status == TaskStatus::Running || cgroup.is_frozen_below(task.pid)?
            }
        };
        if is_ours && self.is_frozen()? {
            self.thaw()?;
        }
        mark.clear();
        Ok(())
    }
}
