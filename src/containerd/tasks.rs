//! A container's task: whether it runs, its processes, and the slow way to pause it.

use anyhow::{Context, Result};
use containerd_client::services::v1::{
    GetRequest, ListPidsRequest, PauseTaskRequest, ResumeTaskRequest, tasks_client::TasksClient,
};
use containerd_client::types::v1::Status;
use tonic::transport::Channel;

use super::{Containerd, absent_is_none};

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
    pub fn task(&self, container: &str) -> Result<Task> {
        let request = self.request(GetRequest {
            container_id: container.to_owned(),
            exec_id: String::new(),
        });
        let answer = self.call(self.tasks().get(request));
        let process = absent_is_none(answer)
            .with_context(|| format!("reading the task of container {container}"))?
            .and_then(|response| response.process);
        Ok(process.map_or(
            Task {
                status: TaskStatus::Idle,
                pid: 0,
            },
            |process| Task {
                status: task_status(process.status()),
                pid: process.pid,
            },
        ))
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

fn task_status(status: Status) -> TaskStatus {
    match status {
        Status::Running => TaskStatus::Running,
        Status::Paused | Status::Pausing => TaskStatus::Paused,
        Status::Unknown | Status::Created | Status::Stopped => TaskStatus::Idle,
    }
}
