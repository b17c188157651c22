//! A container's task: whether it runs, its processes, and the slow way to pause it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use containerd_client::services::v1::{
    GetRequest, ListPidsRequest, PauseTaskRequest, ResumeTaskRequest, tasks_client::TasksClient,
};
use containerd_client::types::v1::{Process, Status};
use tonic::transport::Channel;

use super::{Containerd, absent_is_none};
use crate::system::signals;

const PAUSING_BOUND: Duration = Duration::from_secs(10);
const PAUSING_POLL: Duration = Duration::from_millis(5);
const NO_TASK: Task = Task {
    status: TaskStatus::Idle,
    pid: 0,
};

/// The state of a task, as containerd knows it. A freeze that went round containerd is not seen here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskStatus {
    Running,
    Paused,
    /// Created, stopped, or without a task at all: none of its processes runs.
    Idle,
}

/// A task and its first process; `pid` is 0 without one.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    pub status: TaskStatus,
    pub pid: u32,
}

impl Containerd {
    /// The container's task. One that is just being paused is waited for, within a bound.
    pub fn task(&self, container: &str) -> Result<Task> {
        let began = Instant::now();
        while began.elapsed() < PAUSING_BOUND {
            let Some(process) = self.task_process(container)? else {
                return Ok(NO_TASK);
            };
            let status = match process.status() {
                Status::Running => TaskStatus::Running,
                Status::Paused => TaskStatus::Paused,
                Status::Created | Status::Stopped => TaskStatus::Idle,
                Status::Unknown => {
                    bail!("containerd does not know the state of container {container}")
                }
                Status::Pausing => {
                    signals::check()?;
                    std::thread::sleep(PAUSING_POLL);
                    continue;
                }
            };
            let pid = process.pid;
            return Ok(Task { status, pid });
        }
        bail!("container {container} is being paused, and does not come to an end with it")
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
