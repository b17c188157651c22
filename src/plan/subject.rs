//! The subject of a commit: the container, as containerd and the specification it was made with know it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use containerd_client::services::v1::Container;
use prost_types::Timestamp;
use serde_json::Value;

use super::cgroup_name::own_part;
use super::document::words;
use super::resolve::{self, NoSuchContainer};
use crate::arguments::CommitArguments;
use crate::containerd::{Containerd, Task};
use crate::passthrough::RealNerdctl;

#[derive(Debug, thiserror::Error)]
#[error("container {0} was removed while it was being committed")]
struct Removed(String);

/// The container to commit, as containerd knows it.
pub struct Subject {
    pub id: String,
    /// The name of the image it was made from.
    pub image: String,
    pub labels: HashMap<String, String>,
    pub created: Option<Timestamp>,
    pub runtime: String,
    pub snapshotter: String,
    pub snapshot_key: String,
    /// The OCI runtime specification.
    pub spec: Value,
    pub task: Task,
}

impl Subject {
    /// Finds the container that the arguments name.
    pub fn resolve(
        containerd: &Containerd,
        real: Option<&RealNerdctl>,
        arguments: &CommitArguments,
    ) -> Result<Self> {
        let id = resolve::container_id(containerd, real, arguments)?;
        let container = containerd
            .container(&id)?
            .with_context(|| NoSuchContainer(arguments.container.clone()))?;
        let task = containerd.task(&id)?;
        Self::new(container, task)
    }

    fn new(container: Container, task: Task) -> Result<Self> {
        let spec = container.spec.unwrap_or_default().value;
        let spec = serde_json::from_slice(&spec)
            .with_context(|| format!("reading the specification of container {}", container.id))?;
        Ok(Self {
            id: container.id,
            image: container.image,
            labels: container.labels,
            created: container.created_at,
            runtime: container.runtime.unwrap_or_default().name,
            snapshotter: container.snapshotter,
            snapshot_key: container.snapshot_key,
            spec,
            task,
        })
    }

    /// Takes note of what the container does by now.
    pub fn look_again(&mut self, containerd: &Containerd) -> Result<()> {
        self.task = containerd.task(&self.id)?;
        Ok(())
    }

    /// # Errors
    /// containerd does not know it any more.
    pub fn ensure_not_removed(&self, containerd: &Containerd) -> Result<()> {
        match containerd.container(&self.id)? {
            Some(_) => Ok(()),
            None => Err(self.removed()),
        }
    }

    /// What went wrong where the container was taken from under us.
    pub fn removed(&self) -> anyhow::Error {
        Removed(self.id.clone()).into()
    }

    /// `error` with its reason, where that is the removal of the container.
    pub fn explain(&self, containerd: &Containerd, error: anyhow::Error) -> anyhow::Error {
        match self.ensure_not_removed(&containerd.for_cleaning_up()) {
            Err(reason) if reason.is::<Removed>() && !error.is::<Removed>() => {
                error.context(reason.to_string())
            }
            _ => error,
        }
    }

    pub fn cgroups_path(&self) -> Option<&str> {
        self.spec
            .pointer("/linux/cgroupsPath")?
            .as_str()
            .filter(|path| !path.is_empty())
    }

    /// Whether a process of the container has this number here, as its cgroup (cgroups(7)) tells: in a pod it may be another's.
    pub fn is_seen_as(&self, pid: u32) -> bool {
        let membership = fs::read(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let membership = String::from_utf8_lossy(&membership);
        let mut paths = membership
            .lines()
            .filter_map(|line| line.splitn(3, ':').nth(2));
        paths.any(|path| own_part(Path::new(path), &self.id, self.cgroups_path()).is_some())
    }

    /// The command line of its first process, joined by blanks.
    pub fn command_line(&self) -> String {
        words(&self.spec, "/process/args").join(" ")
    }
}
