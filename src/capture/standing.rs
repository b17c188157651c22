//! What the container does while we look at it, as containerd, the freezer and its processes tell; and keeping to that.
//!
//! Any of it may change between two questions: a container ends, is started, paused or resumed by others, and what they
//! ask for holds, whatever we are about.

use anyhow::Result;

use super::Capture;
use super::delta::Delta;
use crate::containerd::{Task, TaskStatus};
use crate::freeze::{Freezer, MayBeFrozen};
use crate::system::signals;

pub enum Standing {
    /// Its processes run, the first of them `pid`; this freezes them.
    Running { freezer: Freezer, pid: u32 },
    /// None of them runs: there are none, or somebody else has stopped them; `thaws` is the command that undoes that, where
    /// containerd would not. A task that ran in between is another one.
    Quiet { task: Task, thaws: Option<String> },
}

impl Capture<'_> {
    pub fn standing(&self) -> Result<Standing> {
        let task = self.containerd.task(&self.subject.id)?;
        let mut thaws = None;
        if task.status == TaskStatus::Running {
            let freezer = self.freezer(task.pid)?;
            // containerd would say paused if this was its own doing.
            if !freezer.is_frozen()? {
                let pid = task.pid;
                return Ok(Standing::Running { freezer, pid });
            }
            thaws = freezer.thawed_by()?;
        }
        Ok(Standing::Quiet { task, thaws })
    }

    pub fn processes(&self) -> Result<Vec<u32>> {
        let task = self.containerd.task(&self.subject.id)?;
        if task.status == TaskStatus::Idle {
            return Ok(Vec::new());
        }
        match self.freezer(task.pid)?.processes() {
            Err(_) if self.containerd.has_ended(&self.subject.id, task.pid)? => Ok(Vec::new()),
            processes => processes,
        }
    }

    /// To be asked just before a freeze. Who is about to pause the container through containerd is known to it long before
    /// runc looks whether there is something to pause; who asks for a pause later finds the container frozen, and fails.
    pub fn still_runs(&self, pid: u32) -> Result<bool> {
        let task = self.containerd.task(&self.subject.id)?;
        Ok(task.status == TaskStatus::Running && task.pid == pid)
    }

    /// A freeze may fail because the container has just stopped, or started again: that is no error, but another standing.
    pub fn unless_ended(&self, outcome: Result<Option<Delta>>, pid: u32) -> Result<Option<Delta>> {
        match outcome {
            Err(error) if error.is::<MayBeFrozen>() || signals::check().is_err() => Err(error),
            Err(_) if self.containerd.has_ended(&self.subject.id, pid)? => Ok(None),
            outcome => outcome,
        }
    }

    /// Somebody may have paused the container while we held it, and we have thawed it. Not to be interrupted by a signal.
    pub fn keep_paused(&self, freezer: &Freezer, pid: u32) -> Result<()> {
        let containerd = self.containerd.for_cleaning_up();
        freezer.freeze_for_others(self.name_in_marks, pid, || {
            let task = containerd.task(&self.subject.id)?;
            Ok(task.status == TaskStatus::Paused)
        })
    }

    /// What freezes the task whose first process is `pid`.
    fn freezer(&self, pid: u32) -> Result<Freezer> {
        Freezer::of_container(self.containerd, self.subject, pid)
    }
}
