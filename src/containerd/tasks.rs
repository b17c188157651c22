//! A container's task: whether it runs, its processes, and the slow way to pause it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use containerd_client::services::v1::{
    GetRequest, ListPidsRequest, PauseTaskRequest, ResumeTaskRequest, tasks_client::TasksClient,
};
use containerd_client::types::v1::{Process, Status};
use prost_types::Timestamp;
use tonic::Code;
use tonic::transport::Channel;

use super::{CallError, Containerd, Patience, absent_is_none};
use crate::system::signals;

/// How long a state may take that only leads to another one.
const PASSING_BOUND: Duration = Duration::from_secs(10);
/// How long containerd may take to learn that a process has ended.
const ENDING_BOUND: Duration = Duration::from_secs(1);
const PASSING_POLL: Duration = Duration::from_millis(5);
const NO_TASK: Task = Task {
    status: TaskStatus::Idle,
    pid: 0,
    exited: None,
};

/// The state of a task, as containerd knows it. A freeze that went round containerd is not seen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    Running,
    Paused,
    /// Created, stopped, or without a task at all: none of its processes runs.
    Idle,
}

/// A task and its first process; `pid` is 0 without one. One that ran in between is another, or has exited since.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    pub status: TaskStatus,
    pub pid: u32,
    exited: Option<Timestamp>,
}

impl Containerd {
    /// The container's task. One that is just being paused, or whose shim does not answer, is waited for, within a bound.
    pub fn task(&self, container: &str) -> Result<Task> {
        let began = Instant::now();
        loop {
            let passing = match self.task_process(container) {
                Ok(None) => return Ok(NO_TASK),
                Ok(Some(process)) => match settled(&process) {
                    Ok(task) => return Ok(task),
                    Err(passing) => anyhow!("container {container} {passing}"),
                },
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            if began.elapsed() > PASSING_BOUND {
                return Err(passing);
            }
            self.pause_before_asking_again()?;
        }
    }

    /// Whether the container has no task with the first process `pid` any more. A task that has just ended is given a
    /// moment to be known for that.
    pub fn has_ended(&self, container: &str, pid: u32) -> Result<bool> {
        let began = Instant::now();
        loop {
            let task = self.task(container)?;
            if task.status == TaskStatus::Idle || task.pid != pid {
                return Ok(true);
            }
            if began.elapsed() > ENDING_BOUND {
                return Ok(false);
            }
            self.pause_before_asking_again()?;
        }
    }

    fn pause_before_asking_again(&self) -> Result<()> {
        if !matches!(self.patience, Patience::Bounded(_)) {
            signals::check()?;
        }
        std::thread::sleep(PASSING_POLL);
        Ok(())
    }

    fn task_process(&self, container: &str) -> Result<Option<Process>> {
        let request = self.request(GetRequest {
            container_id: container.to_owned(),
            exec_id: String::new(),
        });
        let answer = self.call(self.tasks().get(request));
        Ok(absent_is_none(answer)
            .with_context(|| format!("reading the task of container {container}"))?
            .and_then(|response| response.process))
    }

    /// All processes of the container's task.
    pub fn task_processes(&self, container: &str) -> Result<Vec<u32>> {
        let request = self.request(ListPidsRequest {
            container_id: container.to_owned(),
        });
        let answer = self
            .call(self.tasks().list_pids(request))
            .with_context(|| format!("listing the processes of container {container}"))?;
        Ok(answer.processes.iter().map(|process| process.pid).collect())
    }

    pub fn pause_task(&self, container: &str) -> Result<()> {
        let request = self.request(PauseTaskRequest {
            container_id: container.to_owned(),
        });
        self.call(self.tasks().pause(request))
            .with_context(|| format!("pausing container {container}"))?;
        Ok(())
    }

    pub fn resume_task(&self, container: &str) -> Result<()> {
        let request = self.request(ResumeTaskRequest {
            container_id: container.to_owned(),
        });
        self.call(self.tasks().resume(request))
            .with_context(|| format!("resuming container {container}"))?;
        Ok(())
    }

    fn tasks(&self) -> TasksClient<Channel> {
        TasksClient::new(self.channel.clone())
    }
}

/// The task, or what it is doing that is bound to end.
fn settled(process: &Process) -> Result<Task, &'static str> {
    let status = match process.status() {
        Status::Running => TaskStatus::Running,
        Status::Paused => TaskStatus::Paused,
        Status::Created | Status::Stopped => TaskStatus::Idle,
        Status::Pausing => return Err("is being paused, and does not come to an end with it"),
        // Its shim did not answer in time.
        Status::Unknown => return Err("is in a state that containerd does not know"),
    };
    Ok(Task {
        status,
        pid: process.pid,
        exited: process.exited_at,
    })
}

/// A shim that is just ending cannot be asked; the task is gone in a moment. A containerd that is restarted is back soon. One
/// that has waited for the shim for two seconds says so since 2.0, and that its status is unknown before.
fn is_passing(error: &anyhow::Error) -> bool {
    let is_passing = |error: &CallError| {
        error.is(Code::Unavailable) || error.is(Code::DeadlineExceeded) || error.is_lost()
    };
    error.downcast_ref().is_some_and(is_passing)
}
