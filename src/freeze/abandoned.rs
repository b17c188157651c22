//! What dead commits left whose watchdogs are dead too, or stopped: containers that are frozen, and marks.
//!
//! To be seen to early, as nothing that comes later in a commit may stand in its way.

use std::path::Path;

use anyhow::Result;

use super::mark::AbandonedMark;
use super::{ContainerTask, Freezer, Version, task};
use crate::containerd::{Containerd, Task, TaskStatus};
use crate::plan::Subject;

/// What marks call a container, wherever a commit runs: another daemon may have one of the same name.
pub fn name_in_marks(containerd: &Containerd, subject: &Subject) -> Result<String> {
    let (daemon, namespace) = (containerd.identity()?, containerd.namespace());
    Ok(format!("{daemon} {namespace} {}", subject.id))
}

/// Thaws the container if a dead commit left it frozen, and removes marks of containers that are gone.
///
/// # Errors
/// It may still be frozen; the message names what thaws it.
pub fn clean_up_after_the_dead(containerd: &Containerd, subject: &Subject) -> Result<()> {
    for mark in AbandonedMark::all() {
        if mark.is_of_our_mounts() && names_what_is_gone(&mark, containerd)? {
            mark.clear();
        }
    }
    thaw_abandoned(containerd, subject)
}

/// Thaws the container if a dead commit left it frozen.
pub fn thaw_abandoned(containerd: &Containerd, subject: &Subject) -> Result<()> {
    let mut marks = AbandonedMark::all();
    if marks.is_empty() {
        return Ok(());
    }
    let container = name_in_marks(containerd, subject)?;
    marks.retain(|mark| mark.container() == container);
    if marks.is_empty() {
        return Ok(());
    }
    let task = containerd.task(&subject.id)?;
    if task.status == TaskStatus::Idle {
        return Ok(());
    }
    let freezer = Freezer::of_container(containerd, subject, task.pid)?;
    for mark in marks {
        if freezer_of(&mark).0 == task::KIND {
            Freezer::Task(ContainerTask::of(containerd, subject)).thaw_abandoned(mark, &task)?;
        } else if let Freezer::Cgroup(_) = freezer {
            freezer.thaw_abandoned(mark, &task)?;
        }
    }
    Ok(())
}

/// The kind of the freezer that a mark names, and which one it is.
fn freezer_of(mark: &AbandonedMark) -> (&str, &str) {
    mark.name().split_once(' ').unwrap_or_default()
}

fn names_what_is_gone(mark: &AbandonedMark, containerd: &Containerd) -> Result<bool> {
    let (kind, rest) = freezer_of(mark);
    if Version::named(kind).is_some() {
        return Ok(!Path::new(rest).exists());
    }
    let ours = format!(
        "{} {} ",
        containerd.address().display(),
        containerd.namespace()
    );
    match rest.strip_prefix(&ours) {
        Some(id) => Ok(containerd.container(id)?.is_none()),
        None => Ok(false),
    }
}

impl Freezer {
    /// Thaws what a commit left frozen that is dead, and whose watchdog is dead or stopped. Where containerd knows of a
    /// pause of the same cgroup, which we did not make through it, somebody wants that. A pause that we made through
    /// containerd cannot be told from somebody's later one.
    fn thaw_abandoned(&self, mark: AbandonedMark, task: &Task) -> Result<()> {
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
