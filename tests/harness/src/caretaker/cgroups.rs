//! The cgroups of a container, in whichever hierarchies the machine has.
//!
//! Works on version 1 (a folder per controller), on version 2, and on machines with
//! both. Thaws before it kills: a version 1 freezer keeps even SIGKILL waiting.

use super::children;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

const ROOT: &str = "/sys/fs/cgroup";
const PAUSE: Duration = Duration::from_millis(5);

/// How often to look again, every few milliseconds, whether the dying are dead.
const LOOKS: u32 = 400;

/// Kills all that runs in the cgroup `path` and below it, frozen or not, and gives it
/// time to be gone.
pub fn kill(path: &str) {
    for _ in 0..LOOKS {
        // All of them, always: what is found in one hierarchy may be frozen in another.
        let found = folders(path)
            .iter()
            .filter(|folder| kill_once(folder))
            .count();
        if found == 0 {
            return;
        }
        sleep(PAUSE);
    }
}

/// Whether there was anything to kill.
fn kill_once(folder: &Path) -> bool {
    // Only one of the files exists, depending on version and controller.
    let _ = write_existing(&folder.join("freezer.state"), "THAWED");
    let _ = write_existing(&folder.join("cgroup.freeze"), "0");
    let processes = processes(folder);
    for &process in &processes {
        let _ = kill_process(process, Signal::KILL);
    }
    let below = children(folder).into_iter().filter(|child| child.is_dir());
    below.fold(!processes.is_empty(), |any, child| kill_once(&child) || any)
}

/// Removes the cgroup and its children.
pub fn remove(path: &str) {
    for folder in folders(path) {
        for _ in 0..LOOKS {
            remove_emptied(&folder);
            if !folder.exists() {
                break;
            }
            sleep(PAUSE);
        }
    }
}

fn remove_emptied(folder: &Path) {
    children(folder)
        .iter()
        .filter(|child| child.is_dir())
        .for_each(|child| remove_emptied(child));
    // Refused as long as a process in it is dying.
    let _ = fs::remove_dir(folder);
}

fn folders(path: &str) -> Vec<PathBuf> {
    let relative = path.trim_start_matches('/');
    if relative.is_empty() || relative.contains(':') {
        return Vec::new();
    }
    let mut hierarchies = children(Path::new(ROOT));
    hierarchies.push(PathBuf::from(ROOT));
    let folders = hierarchies.iter().map(|hierarchy| hierarchy.join(relative));
    folders.filter(|folder| folder.is_dir()).collect()
}

fn processes(folder: &Path) -> Vec<Pid> {
    let listed = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
    let raw = listed.lines().filter_map(|line| line.parse().ok());
    raw.filter_map(Pid::from_raw).collect()
}

fn write_existing(file: &Path, text: &str) -> std::io::Result<()> {
    if file.exists() {
        fs::write(file, text)
    } else {
        Ok(())
    }
}
