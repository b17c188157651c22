//! A container of a daemon, run and asked through nerdctl (real or stand-in).
//!
//! No network, unless told otherwise. A folder of the host's tmpfs is mounted on /heartbeat. Removed with its
//! daemon; nothing needs to be done when a test is through.

use crate::caretaker::note_fifos;
use crate::freezer::Freezer;
use crate::heartbeat::Heartbeat;
use crate::nerdctl::Nerdctl;
use crate::shell::{Outcome, wait_until};
use crate::{Daemon, Result};
use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub struct Container<'d> {
    pub id: String,
    pub name: String,
    daemon: &'d Daemon,
    nerdctl: Nerdctl<'d>,
    shared: PathBuf,
}

impl<'d> Container<'d> {
    /// A running container of `image`; with no words it runs what the image says.
    pub fn run(daemon: &'d Daemon, image: &str, words: &[&str]) -> Result<Self> {
        Self::run_with(daemon, image, &[], words)
    }

    /// The same with further flags for `nerdctl run`.
    pub fn run_with(
        daemon: &'d Daemon,
        image: &str,
        flags: &[&str],
        words: &[&str],
    ) -> Result<Self> {
        let nerdctl = daemon.nerdctl()?;
        let name = daemon.unique("container");
        let shared = daemon.new_folder("heartbeat")?;
        let mount = format!("{}:/heartbeat", shared.display());
        let fixed = ["run", "--detach", "--name", &name, "--volume", &mount];
        let network: &[&str] = match flags.contains(&"--net") {
            true => &[],
            false => &["--net", "none"],
        };
        let arguments = [&fixed[..], network, flags, &[image], words].concat();
        let id = nerdctl.run(&arguments)?.text();
        Ok(Self {
            id,
            name,
            daemon,
            nerdctl,
            shared,
        })
    }

    /// A running container that `ctr` makes, which nerdctl knows nothing of.
    pub fn run_by_ctr(
        daemon: &'d Daemon,
        image: &str,
        flags: &[&str],
        words: &[&str],
    ) -> Result<Self> {
        // Unique on this machine, as runc's state is shared.
        let id = format!("{}-{}", daemon.ctr().namespace, daemon.unique("by-ctr"));
        let fixed = ["run", "--detach", "--null-io", "--cpu-shares", "0"];
        let call = [&fixed[..], flags, &[image, &id], words].concat();
        daemon.ctr().run(&call)?;
        Ok(Self {
            name: id.clone(),
            id,
            daemon,
            nerdctl: daemon.nerdctl()?,
            shared: daemon.run_folder(),
        })
    }

    pub fn daemon(&self) -> &'d Daemon {
        self.daemon
    }

    /// A program inside, whose result matters.
    pub fn exec(&self, words: &[&str]) -> Result<Outcome> {
        self.nerdctl
            .outcome(&[&["exec", &self.name], words].concat())
    }

    /// What a program inside that must succeed prints.
    pub fn output(&self, words: &[&str]) -> Result<String> {
        Ok(self.exec(words)?.succeeded()?.text())
    }

    /// A line for the shell inside, which must succeed.
    pub fn shell(&self, line: &str) -> Result<String> {
        self.output(&["sh", "-ec", line])
    }

    /// A program inside that goes on by itself.
    pub fn spawn(&self, words: &[&str]) -> Result {
        self.nerdctl
            .run(&[&["exec", "--detach", &self.name], words].concat())?;
        note_fifos(self.daemon.folder())
    }

    pub fn pause(&self) -> Result {
        self.nerdctl.run(&["pause", &self.name]).map(drop)
    }

    pub fn unpause(&self) -> Result {
        self.nerdctl.run(&["unpause", &self.name]).map(drop)
    }

    pub fn stop(&self) -> Result {
        self.nerdctl
            .run(&["stop", "--time", "0", &self.name])
            .map(drop)
    }

    pub fn start(&self) -> Result {
        self.nerdctl.run(&["start", &self.name]).map(drop)
    }

    /// Stopped and started, in one step where nerdctl has one.
    pub fn restart(&self) -> Result {
        if self.nerdctl.is_real {
            return self
                .nerdctl
                .run(&["restart", "--time", "0", &self.name])
                .map(drop);
        }
        self.stop()?;
        self.start()
    }

    /// Kills its first process, as the kernel does when memory is short. One that is frozen dies when it is thawed.
    pub fn kill(&self) -> Result {
        let pid = Pid::from_raw(self.pid()?.try_into()?).context("a process")?;
        kill_process(pid, Signal::KILL).context("killing the first process")
    }

    /// Leaves it without a task, as one that was never started.
    pub fn delete_task(&self) -> Result {
        let ctr = self.daemon.ctr();
        ctr.run(&["tasks", "delete", "--force", &self.id]).map(drop)
    }

    pub fn remove(self) -> Result {
        self.nerdctl.run(&["rm", "--force", &self.name]).map(drop)
    }

    /// What containerd says: running, paused, stopped, created; none without a task.
    pub fn status(&self) -> Result<Option<String>> {
        Ok(self.daemon.ctr().task(&self.id)?.map(|(_, status)| status))
    }

    /// The first process, as the host numbers it.
    pub fn pid(&self) -> Result<u32> {
        let task = self.daemon.ctr().task(&self.id)?;
        Ok(task
            .with_context(|| format!("{} has no task", self.name))?
            .0)
    }

    /// Its tree as its processes see it, from the host; while it has processes.
    pub fn root(&self) -> Result<PathBuf> {
        Ok(format!("/proc/{}/root", self.pid()?).into())
    }

    /// containerd's record of it.
    pub fn info(&self) -> Result<Value> {
        let text = self.daemon.ctr().run(&["containers", "info", &self.id])?;
        serde_json::from_str(&text).context("reading containerd's record of a container")
    }

    /// The overlay upper directory, where all that it changed lies.
    pub fn upper(&self) -> Result<PathBuf> {
        Ok(self.mount_option("upperdir=")?.into())
    }

    /// The directories of the layers below, the uppermost first.
    pub fn lower(&self) -> Result<Vec<PathBuf>> {
        let paths = self.mount_option("lowerdir=")?;
        Ok(paths.split(':').map(PathBuf::from).collect())
    }

    fn mount_option(&self, name: &str) -> Result<String> {
        let key = self.id.as_str();
        let ctr = self.daemon.ctr();
        let mount = ctr.run(&["snapshots", "mounts", "/nowhere", key])?;
        let mut words = mount.split([' ', ',']);
        let option = words.find_map(|word| word.strip_prefix(name));
        let option = option.with_context(|| format!("no {name} in {mount}"))?;
        Ok(option.to_owned())
    }

    pub fn freezer(&self) -> Result<Freezer> {
        Freezer::of_process(&self.daemon.cgroup_root(), self.pid()?)
    }

    /// Starts the heartbeat inside and waits for its first beats.
    pub fn heartbeat(&self) -> Result<Heartbeat> {
        self.spawn(&["probe", "heartbeat", "/heartbeat/beat"])?;
        Heartbeat::open(&self.shared.join("beat"))
    }

    /// Starts a loop inside that never rests; its beats count what it gets done.
    pub fn spin(&self, name: &str) -> Result<Heartbeat> {
        self.spawn(&["probe", "spin", &format!("/heartbeat/{name}")])?;
        Heartbeat::open(&self.shared.join(name))
    }

    /// Waits until a path exists inside, as a sign that a program is under way.
    pub fn wait_for(&self, path: &str) -> Result {
        let relative = path.trim_start_matches('/');
        ensure!(relative != path, "{path} must be absolute");
        let seen = self.root()?.join(relative);
        wait_until(path, Duration::from_secs(10), || {
            Ok(seen.exists().then_some(()))
        })
    }

    /// A container whose writers keep the probe's law below /law.
    pub fn with_law(daemon: &'d Daemon) -> Result<Self> {
        let container = Self::run(daemon, crate::BASE, &["probe", "write-law", "/law"])?;
        container.wait_for("/law/ready")?;
        Ok(container)
    }

    /// Whether the probe's law holds in its tree; only to be asked while it is paused.
    pub fn check_law(&self) -> Result {
        crate::check_law(self.daemon, &self.root()?.join(Path::new("law")))
    }
}
