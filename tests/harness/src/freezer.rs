//! The cgroup freezer of a container, looked at from outside.
//!
//! Independent of what containerd believes: a freeze that it was never told of shows
//! here only. Version 1 where the machine has that controller, else version 2.

use crate::Result;
use anyhow::{Context, bail};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Clone, Debug)]
pub struct Freezer {
    folder: PathBuf,
    is_v1: bool,
}

impl Freezer {
    /// That of process `pid`, in the hierarchies that are mounted at and below `root`.
    pub fn of_process(root: &Path, pid: u32) -> Result<Self> {
        let table = fs::read_to_string(format!("/proc/{pid}/cgroup"))
            .with_context(|| format!("reading the cgroups of process {pid}"))?;
        let path_after = |key: &str| table.lines().find_map(|line| line.split_once(key));
        let first = path_after(":freezer:").filter(|_| root.join("freezer").is_dir());
        if let Some((_, path)) = first {
            let folder = below(&root.join("freezer"), path);
            return Ok(Self {
                folder,
                is_v1: true,
            });
        }
        let Some((_, path)) = path_after("0::") else {
            bail!("process {pid} is in no cgroup that can be frozen: {table}");
        };
        Ok(Self {
            folder: below(root, path),
            is_v1: false,
        })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// That of the cgroup above.
    pub fn parent(&self) -> Self {
        let folder = self.folder.parent().unwrap_or(&self.folder).to_owned();
        Self {
            folder,
            is_v1: self.is_v1,
        }
    }

    /// Whether every process in it stands still; thawed if the cgroup is gone.
    pub fn is_frozen(&self) -> bool {
        let read = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        if self.is_v1 {
            return read("freezer.state").trim() == "FROZEN";
        }
        read("cgroup.events").lines().any(|line| line == "frozen 1")
    }

    /// Freezes or thaws behind containerd's back.
    pub fn set_frozen(&self, frozen: bool) -> Result {
        let (file, text) = match (self.is_v1, frozen) {
            (true, true) => ("freezer.state", "FROZEN"),
            (true, false) => ("freezer.state", "THAWED"),
            (false, true) => ("cgroup.freeze", "1"),
            (false, false) => ("cgroup.freeze", "0"),
        };
        fs::write(self.folder.join(file), text)
            .with_context(|| format!("writing {file} of {}", self.folder.display()))
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}
