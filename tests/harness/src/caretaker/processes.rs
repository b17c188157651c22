//! The processes of a daemon: all whose command line names its folder.
//!
//! containerd names its configuration there, shims and loggers its socket or data.
//! The caretaker names the folder too, and is left out together with its parents.

use super::children;
use crate::Result;
use crate::shell::wait_until;
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FIFOS: &str = "/run/containerd/fifo/";

/// Kills them, and those that they start meanwhile, until there are none.
pub fn kill_all_of(folder: &Path) -> Result {
    wait_until(
        "the daemon's processes ending",
        Duration::from_secs(10),
        || {
            let found = found(folder);
            for &process in &found {
                // It may have ended by itself since it was found.
                let _ = kill_process(process, Signal::KILL);
            }
            Ok(found.is_empty().then_some(()))
        },
    )
}

/// The FIFO folders that their shims hold open: clients make those under /run, where
/// nothing else tells whose they are.
pub fn fifo_folders(folder: &Path) -> BTreeSet<PathBuf> {
    let open = found(folder).into_iter().flat_map(|process| {
        let descriptors = format!("/proc/{}/fd", process.as_raw_nonzero());
        children(Path::new(&descriptors))
            .into_iter()
            .filter_map(|link| fs::read_link(link).ok())
    });
    let fifos = open.filter(|target| target.starts_with(FIFOS));
    fifos
        .filter_map(|fifo| fifo.parent().map(Path::to_path_buf))
        .collect()
}

fn found(folder: &Path) -> Vec<Pid> {
    let spared = [Some(getpid()), getppid()];
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let processes = names.filter_map(Pid::from_raw);
    processes
        .filter(|process| !spared.contains(&Some(*process)) && names_folder(*process, folder))
        .collect()
}

/// A zombie's command line reads empty, so one that ended does not count.
fn names_folder(process: Pid, folder: &Path) -> bool {
    let path = format!("/proc/{}/cmdline", process.as_raw_nonzero());
    let line = fs::read(path).unwrap_or_default();
    let wanted = folder.as_os_str().as_bytes();
    line.windows(wanted.len()).any(|window| window == wanted)
}
