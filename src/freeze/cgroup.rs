//! The cgroup freezer, both versions, driven through its files.
//!
//! Version 1: `freezer.state` (kernel: cgroup-v1/freezer-subsystem.rst). Version 2: `cgroup.freeze` asks and
//! `cgroup.events` answers (cgroup-v2.rst), since a task that is stuck in the kernel is not frozen yet.

mod location;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::libc;
use nix::unistd::{AccessFlags, access};

use crate::system::identity::has_ended;
use crate::system::mounts::our_mounts;

/// Short enough to matter little within a freeze, long enough not to starve what is to be frozen.
const POLL_PAUSE: Duration = Duration::from_micros(100);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    One,
    Two,
}

impl Version {
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "cgroup1",
            Self::Two => "cgroup2",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|version| version.name() == name)
    }

    /// What `freezer.state`, or `cgroup.events`, holds.
    pub fn says_frozen(self, text: &str) -> bool {
        match self {
            Self::One => text.trim() == "FROZEN",
            Self::Two => text.lines().any(|line| line == "frozen 1"),
        }
    }
}

/// A container's cgroup in the hierarchy that freezes.
#[derive(Clone, Debug)]
pub struct Cgroup {
    pub version: Version,
    pub directory: PathBuf,
}

/// A process did not freeze: it is in a call that nothing interrupts, for as long as that lasts.
#[derive(Debug, thiserror::Error)]
#[error(
    "the processes of cgroup {} did not freeze within {bound:?}: one is stuck in the kernel; try again, or use --pause=false",
    cgroup.display()
)]
pub struct Stuck {
    cgroup: PathBuf,
    bound: Duration,
    /// For so long the others may have been frozen.
    pub waited: Duration,
}

impl Cgroup {
    /// The cgroup of the container whose first process is `pid`: the ancestor of that process's cgroup that the
    /// specification's `cgroupsPath` or the container's ID names, since a systemd inside moves its process further down.
    /// `None` where no freezer can be reached.
    pub fn of_container(pid: u32, id: &str, cgroups_path: Option<&str>) -> Result<Option<Self>> {
        let mounts = our_mounts()?;
        let membership = match fs::read(format!("/proc/{pid}/cgroup")) {
            Err(error) if has_ended(&error) => return Ok(None),
            membership => membership.with_context(|| format!("reading the cgroup of {pid}"))?,
        };
        // Only what is below the container's own may have a name that is no text.
        let membership = String::from_utf8_lossy(&membership);
        let named = Self::locate(&mounts, &membership, id, cgroups_path);
        Ok(named.filter(|cgroup| is_writable(&cgroup.state_file())))
    }

    /// Freezes every process in and below the cgroup; gives up, thawing, when `bound` has passed.
    ///
    /// False, and thawed, where it was we who stood still meanwhile: stopped by somebody, or on a busy machine.
    ///
    /// # Errors
    /// `Stuck`; the cgroup is gone.
    pub fn freeze(&self, bound: Duration) -> Result<bool> {
        let began = Instant::now();
        let (mut looked, deadline) = (began, began + bound);
        // Asked before each write: the watchdog may have thawed by then, and would not do so again.
        while looked <= deadline {
            self.write(match self.version {
                Version::One => "FROZEN",
                Version::Two => "1",
            })?;
            let is_frozen = self.is_frozen()?;
            if !is_frozen {
                std::thread::sleep(POLL_PAUSE);
            }
            if looked.elapsed() > bound / 2 {
                return self.thaw().map(|()| false);
            }
            if is_frozen {
                return Ok(true);
            }
            looked = Instant::now();
        }
        self.thaw()?;
        bail!(Stuck {
            cgroup: self.directory.clone(),
            bound,
            waited: began.elapsed(),
        });
    }

    /// Lets everything run again. A cgroup that is gone has nothing left to thaw.
    pub fn thaw(&self) -> Result<()> {
        unless_gone(self.write(self.thawed()))
    }

    /// A command that does that.
    pub fn remedy(&self) -> String {
        format!("echo {} > {}", self.thawed(), self.state_file().display())
    }

    /// Whether every process is frozen now; none is where the cgroup is gone.
    pub fn is_frozen(&self) -> Result<bool> {
        let text = unless_gone(self.read(match self.version {
            Version::One => "freezer.state",
            Version::Two => "cgroup.events",
        }))?;
        Ok(self.version.says_frozen(&text))
    }

    /// The processes in and below the cgroup.
    ///
    /// # Errors
    /// Not all of them can be known.
    pub fn processes(&self) -> Result<Vec<u32>> {
        let mut processes = Vec::new();
        let mut waiting = vec![self.directory.clone()];
        while let Some(directory) = waiting.pop() {
            processes.extend(
                members(&directory)?
                    .lines()
                    .filter_map(|line| line.parse::<u32>().ok()),
            );
            waiting.extend(children(&directory)?);
        }
        Ok(processes)
    }

    /// Whether a cgroup below this one that holds process `pid` has been frozen by itself, whatever is above it.
    pub fn is_frozen_below(&self, pid: u32) -> Result<bool> {
        for directory in children(&self.directory)? {
            let version = self.version;
            let below = Self { version, directory };
            if below.processes()?.contains(&pid) {
                return Ok(below.is_asked_to_freeze()? || below.is_frozen_below(pid)?);
            }
        }
        Ok(false)
    }

    /// Whether it has been frozen by itself, rather than with what is above it.
    pub fn is_asked_to_freeze(&self) -> Result<bool> {
        let asked = unless_gone(self.read(match self.version {
            Version::One => "freezer.self_freezing",
            Version::Two => "cgroup.freeze",
        }))?;
        Ok(asked.trim() == "1")
    }

    /// What is written to thaw it.
    fn thawed(&self) -> &'static str {
        match self.version {
            Version::One => "THAWED",
            Version::Two => "0",
        }
    }

    fn state_file(&self) -> PathBuf {
        self.directory.join(match self.version {
            Version::One => "freezer.state",
            Version::Two => "cgroup.freeze",
        })
    }

    fn read(&self, name: &str) -> Result<String> {
        read(&self.directory.join(name))
    }

    fn write(&self, value: &str) -> Result<()> {
        let path = self.state_file();
        fs::write(&path, value).with_context(|| format!("writing {value} to {}", path.display()))
    }
}

/// Those of a threaded cgroup are listed above it (kernel: admin-guide/cgroup-v2.rst).
fn members(directory: &Path) -> Result<String> {
    match unless_gone(read(&directory.join("cgroup.procs"))) {
        Err(error) if code(&error) == Some(libc::EOPNOTSUPP) => Ok(String::new()),
        members => members,
    }
}

fn children(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let entries = entries.with_context(|| format!("reading {}", directory.display()));
    let children = unless_gone(entries)?.into_iter();
    let children = children.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(children.map(|child| child.path()).collect())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Not so in a hierarchy that is mounted read-only, as systemd's `ProtectControlGroups` has it (access(2): EROFS).
fn is_writable(file: &Path) -> bool {
    access(file, AccessFlags::W_OK).is_ok()
}

/// A cgroup that is gone has nothing.
fn unless_gone<T: Default>(answer: Result<T>) -> Result<T> {
    match answer {
        Err(error) if matches!(code(&error), Some(libc::ENOENT | libc::ENODEV)) => Ok(T::default()),
        answer => answer,
    }
}

fn code(error: &anyhow::Error) -> Option<i32> {
    error.downcast_ref().and_then(io::Error::raw_os_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_that_is_gone_has_no_processes_and_one_that_cannot_be_read_fails() {
        let folder = harness::TempDir::new().unwrap();
        let cgroup = |name: &str| Cgroup {
            directory: folder.path().join(name),
            version: Version::Two,
        };
        assert!(cgroup("gone").processes().unwrap().is_empty());
        fs::create_dir_all(folder.path().join("odd/below/cgroup.procs")).unwrap();
        fs::write(folder.path().join("odd/cgroup.procs"), "1\n2\n").unwrap();
        cgroup("odd").processes().unwrap_err();
        fs::remove_dir_all(folder.path().join("odd/below")).unwrap();
        assert_eq!(cgroup("odd").processes().unwrap(), [1_u32, 2]);
    }
}
