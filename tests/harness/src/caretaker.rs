//! Cleaning up after a daemon, however its owner ends.
//!
//! Every daemon has a caretaker: a process of its own session that waits on a pipe
//! and, when the pipe closes (the daemon was dropped, or the test panicked, was
//! interrupted or killed), ends whatever runs in the daemon's folder, unmounts all
//! below it and removes it. It finds all of that by the folder's path, which is
//! unique, and so never touches another containerd.

mod cgroups;
pub mod mounts;
mod processes;

use crate::Result;
use crate::shell::own_program;
use anyhow::{Context, ensure};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The owner's end: dropping it has everything removed, and waits for that.
pub struct Caretaker(Child);

impl Caretaker {
    /// A new folder, and who removes it with whatever there is in it, complete or not.
    pub fn of_new_folder() -> Result<(PathBuf, Self)> {
        let folder = tempfile::Builder::new().prefix(FOLDER_PREFIX).tempdir()?;
        let caretaker = Self::of(folder.path())?;
        Ok((folder.keep(), caretaker))
    }

    fn of(folder: &Path) -> Result<Self> {
        let mut command = Command::new(own_program("caretaker")?);
        command
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null());
        Ok(Self(command.spawn().context("starting the caretaker")?))
    }
}

impl Drop for Caretaker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        match self.0.wait() {
            Ok(status) if status.success() => {}
            // A second panic would hide the first.
            other if std::thread::panicking() => {
                eprintln!("the caretaker did not finish: {other:?}");
            }
            other => panic!("the caretaker did not finish: {other:?}"),
        }
    }
}

/// Removes a daemon's folder with all that runs in it and hangs on it.
pub fn clean(folder: &Path) -> Result {
    ensure_ours(folder)?;
    let bundles: Vec<_> = bundles(folder)
        .iter()
        .map(|path| Bundle::read(path))
        .collect();
    note_fifos(folder)?;
    let fifos =
        fs::read_to_string(folder.join(NOTED_FIFOS)).context("reading which FIFOs there are")?;
    let namespace = namespace(folder);
    let mut cgroups: Vec<_> = bundles
        .iter()
        .map(|bundle| bundle.cgroup.as_str())
        .collect();
    cgroups.push(&namespace);
    // Containers first, while their shims live and reap them.
    cgroups.iter().for_each(|cgroup| cgroups::kill(cgroup));
    processes::kill_all_of(folder)?;
    // A shim may have been starting a container while the first round went on.
    cgroups.iter().for_each(|cgroup| cgroups::kill(cgroup));
    cgroups.iter().for_each(|cgroup| cgroups::remove(cgroup));
    bundles.iter().for_each(Bundle::remove_traces);
    fifos
        .lines()
        .for_each(|fifo| drop(fs::remove_dir_all(fifo)));
    let _ = fs::remove_dir_all(Path::new(RUNC_STATE).join(&namespace));
    mounts::unmount_all_below(folder)?;
    let detached = mounts::wait_for_loop_device(folder);
    // Nothing is mounted below it any more, whatever the device still has to write.
    fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    detached
}

/// Notes which folders of FIFOs the daemon in `folder` has by now, to be removed with it: once the container they are of
/// has ended, nothing tells whose they are.
pub fn note_fifos(folder: &Path) -> Result {
    let mut noted = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join(NOTED_FIFOS))?;
    for fifo in processes::fifo_folders(folder) {
        writeln!(noted, "{}", fifo.display())?;
    }
    Ok(())
}

/// The containerd namespace of the daemon in `folder`: as unique as that, and also what
/// runc's state and the parent of all cgroups are called.
pub fn namespace(folder: &Path) -> String {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.replace('.', "-")
}

fn bundles(folder: &Path) -> Vec<PathBuf> {
    let tasks = folder.join("run/state/io.containerd.runtime.v2.task");
    let namespaces = children(&tasks);
    namespaces
        .iter()
        .flat_map(|namespace| children(namespace))
        .collect()
}

/// What a folder holds; nothing if it is not there.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

/// What a shim's bundle tells about traces outside the daemon's folder.
struct Bundle {
    cgroup: String,
    runc_state: PathBuf,
    socket: Option<PathBuf>,
}

impl Bundle {
    fn read(path: &Path) -> Self {
        let spec = json(path, "config.json");
        let (namespace, id) = last_two(path);
        Self {
            cgroup: spec["linux"]["cgroupsPath"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            runc_state: Path::new(RUNC_STATE).join(namespace).join(id),
            socket: shim_socket(path),
        }
    }

    fn remove_traces(&self) {
        // Each may be gone already: a container that was removed took it along.
        let _ = fs::remove_dir_all(&self.runc_state);
        let _ = self.socket.as_ref().map(fs::remove_file);
    }
}

/// Where the shim listens whose bundle this is.
pub fn shim_socket(bundle: &Path) -> Option<PathBuf> {
    // containerd 1 writes the address alone, containerd 2 within an object.
    let boot = json(bundle, "bootstrap.json");
    let address = boot["address"]
        .as_str()
        .map_or_else(|| text(bundle, "address"), str::to_owned);
    address.strip_prefix("unix://").map(PathBuf::from)
}

/// What a file of a bundle says; nothing if it is not there.
fn text(bundle: &Path, name: &str) -> String {
    fs::read_to_string(bundle.join(name)).unwrap_or_default()
}

fn json(bundle: &Path, name: &str) -> Value {
    serde_json::from_str(&text(bundle, name)).unwrap_or(Value::Null)
}

fn last_two(path: &Path) -> (&Path, &Path) {
    let parent = path
        .parent()
        .and_then(Path::file_name)
        .map_or(Path::new(""), Path::new);
    (parent, path.file_name().map_or(Path::new(""), Path::new))
}

/// `clean` run by mistake on another folder would be a disaster.
fn ensure_ours(folder: &Path) -> Result {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let ours = folder.is_absolute() && name.starts_with(FOLDER_PREFIX);
    ensure!(ours, "{} is no folder of a test's daemon", folder.display());
    Ok(())
}

/// Where the shims' runc keeps its state, whatever containerd is told.
const RUNC_STATE: &str = "/run/containerd/runc";
/// In a daemon's folder, a line for each.
const NOTED_FIFOS: &str = "fifos";

const FOLDER_PREFIX: &str = "freezeframe-test.";
