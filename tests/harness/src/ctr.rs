//! `ctr`, containerd's own client, as the tests' second pair of eyes.
//!
//! It knows nothing of nerdctl, so what it reports is what containerd holds.

use crate::Result;
use crate::shell::{Outcome, outcome};
use anyhow::{Context, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// `ctr` bound to one containerd and one of its namespaces.
#[derive(Clone, Debug)]
pub struct Ctr {
    pub address: String,
    pub namespace: String,
}

impl Ctr {
    pub fn command(&self) -> Command {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.address, "--namespace", &self.namespace]);
        command
    }

    pub fn outcome<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Outcome> {
        outcome(self.command().args(arguments))
    }

    /// The standard output of a call that must succeed.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<String> {
        Ok(self.outcome(arguments)?.succeeded()?.text())
    }

    /// The lines that a call lists, without their heading.
    pub fn list<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Result<Vec<String>> {
        let text = self.run(arguments)?;
        Ok(text.lines().skip(1).map(str::to_owned).collect())
    }

    /// A call that reads `input` on its standard input and must succeed.
    pub fn feed<S: AsRef<OsStr>>(&self, arguments: &[S], input: &[u8]) -> Result {
        let mut command = self.command();
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .context("starting ctr")?;
        let written = child
            .stdin
            .take()
            .context("its standard input")?
            .write_all(input);
        let outcome = Outcome::of(&command, child.wait_with_output()?).succeeded()?;
        written.with_context(|| format!("feeding {}", outcome.describe()))
    }

    pub fn blob(&self, digest: &str) -> Result<Vec<u8>> {
        Ok(self
            .outcome(&["content", "get", digest])?
            .succeeded()?
            .stdout)
    }

    pub fn json(&self, digest: &str) -> Result<Value> {
        serde_json::from_slice(&self.blob(digest)?).with_context(|| format!("reading {digest}"))
    }

    /// The digest that the image record `reference` points at.
    pub fn image_digest(&self, reference: &str) -> Result<String> {
        let images = self.list(&["images", "ls", &format!("name=={reference}")])?;
        let mut words = images.iter().flat_map(|line| line.split_whitespace());
        let digest = words.find(|word| word.starts_with("sha256:"));
        Ok(digest
            .with_context(|| format!("there is no image {reference}"))?
            .to_owned())
    }

    /// The manifest of an image; of an index the first manifest, as ours hold one.
    pub fn manifest(&self, reference: &str) -> Result<Value> {
        let target = self.json(&self.image_digest(reference)?)?;
        match target["manifests"][0]["digest"].as_str() {
            Some(manifest) => self.json(manifest),
            None => Ok(target),
        }
    }

    pub fn config(&self, reference: &str) -> Result<Value> {
        let manifest = self.manifest(reference)?;
        let digest = manifest["config"]["digest"].as_str();
        self.json(digest.with_context(|| format!("{reference} has no config"))?)
    }

    /// Mounts a snapshot at `target`, with one more option.
    pub fn mount_snapshot(&self, key: &str, target: &Path, option: &str) -> Result {
        let target = target.display().to_string();
        // A command line for a shell.
        let line = self.run(&["snapshots", "mounts", &target, key])?;
        let mut shell = Command::new("sh");
        // mount(8) says so of long options: since util-linux 2.39 each goes to the kernel by itself, in 256 bytes at most.
        shell.env("LIBMOUNT_FORCE_MOUNT2", "always");
        shell.args(["-ec", &format!("{line},{option}")]);
        outcome(&mut shell)?.succeeded().map(drop)
    }

    /// What nothing refers to goes now, not when containerd gets round to it.
    pub fn collect_garbage(&self) -> Result {
        let lease = self.run(&["leases", "create"])?;
        self.run(&["leases", "delete", "--sync", &lease]).map(drop)
    }

    /// State of a container's task in ctr's words: its process and status.
    pub fn task(&self, id: &str) -> Result<Option<(u32, String)>> {
        let tasks = self.list(&["tasks", "ls"])?;
        let mut lines = tasks
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>());
        let Some(words) = lines.find(|words| words.first() == Some(&id)) else {
            return Ok(None);
        };
        ensure!(words.len() == 3, "a task that ctr lists as {words:?}");
        Ok(Some((words[1].parse()?, words[2].to_lowercase())))
    }
}
