//! A container's task, paused and resumed through the daemon and its shim: slower than the cgroup freezer, but there is
//! always one.

use std::ffi::OsString;
use std::time::Instant;

use anyhow::{Result, bail};

use super::{POLL_PAUSE, SETTLING};
use crate::containerd::{Containerd, Task, TaskStatus};
use crate::plan::Subject;

/// The first word of its description.
pub const KIND: &str = "task";

#[derive(Clone)]
pub struct ContainerTask {
    pub containerd: Containerd,
    pub container: String,
}

impl ContainerTask {
    pub fn of(containerd: &Containerd, subject: &Subject) -> Self {
        Self {
            containerd: containerd.clone(),
            container: subject.id.clone(),
        }
    }

    pub fn pause(&self) -> Result<()> {
        let paused = self.containerd.pause_task(&self.container);
        paused.inspect_err(|_| self.await_late_pause())
    }

    pub fn is_paused(&self) -> Result<bool> {
        Ok(self.containerd.task(&self.container)?.status == TaskStatus::Paused)
    }

    /// Whether the daemon answers for it.
    pub fn is_known(&self) -> bool {
        self.for_cleaning_up().is_paused().is_ok()
    }

    pub fn processes(&self) -> Result<Vec<u32>> {
        self.containerd.task_processes(&self.container)
    }

    /// One that has ended, or that somebody else has resumed, needs it no more.
    pub fn resume(&self) -> Result<()> {
        let caretaker = self.for_cleaning_up();
        match caretaker.containerd.resume_task(&caretaker.container) {
            Err(_) if !caretaker.is_paused()? => Ok(()),
            resumed => resumed,
        }
    }

    /// To be asked before it is resumed where it is not known what came of a pause: containerd may not have paused it yet,
    /// and would do so after we have found nothing to resume.
    pub fn await_late_pause(&self) {
        let caretaker = self.for_cleaning_up();
        let end = Instant::now() + SETTLING;
        let is_running = |task: Task| task.status == TaskStatus::Running;
        let task = || caretaker.containerd.task(&caretaker.container);
        while Instant::now() < end && task().is_ok_and(is_running) {
            std::thread::sleep(POLL_PAUSE);
        }
    }

    fn for_cleaning_up(&self) -> Self {
        Self {
            containerd: self.containerd.for_cleaning_up(),
            ..self.clone()
        }
    }

    /// A command that resumes it.
    pub fn remedy(&self) -> String {
        let flags = self.containerd.flags();
        format!("ctr {flags}tasks resume {}", self.container)
    }

    /// As words of a command line, for the watchdog.
    pub fn words(&self) -> [OsString; 3] {
        [
            self.containerd.address().into(),
            self.containerd.namespace().into(),
            self.container.clone().into(),
        ]
    }

    /// From these words; what follows them as well.
    pub fn from_words(words: &[OsString]) -> Result<(Self, &[OsString])> {
        let [address, namespace, container, rest @ ..] = words else {
            bail!("the watchdog is started by a commit, not by hand");
        };
        let task = Self {
            containerd: Containerd::connect(address.as_ref(), &namespace.to_string_lossy())?,
            container: container.to_string_lossy().into_owned(),
        };
        Ok((task, rest))
    }
}
