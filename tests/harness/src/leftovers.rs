//! All that a commit could leave behind, as it is at one moment.
//!
//! Taken before and after something that must leave nothing, the two compare equal;
//! where they do not, the assertion names each thing that came or went.

use crate::{Container, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What containerd has on its disk, whether or not it knows of it.
const FOLDERS: [(&str, &str); 3] = [
    (
        "folder of an ingest",
        "io.containerd.content.v1.content/ingest",
    ),
    (
        "file of a blob",
        "io.containerd.content.v1.content/blobs/sha256",
    ),
    (
        "folder of a snapshot",
        "io.containerd.snapshotter.v1.overlayfs/snapshots",
    ),
];

/// Where freezeframe marks what it has frozen.
const MARKS: &str = "/run/freezeframe";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftovers {
    things: BTreeSet<String>,
}

impl Leftovers {
    /// Everything in the container's daemon, and the container's own state.
    pub fn now(container: &Container) -> Result<Self> {
        let ctr = container.daemon().ctr();
        let mut things = BTreeSet::new();
        let mut note = |kind: &str, listed: Vec<String>| {
            let names = listed
                .iter()
                .filter_map(|line| line.split_whitespace().next());
            things.extend(names.map(|name| format!("{kind} {name}")));
        };
        note("lease", ctr.list(&["leases", "ls"])?);
        for snapshotter in ["overlayfs", "native"] {
            let listed = ctr.list(&["snapshots", "--snapshotter", snapshotter, "ls"])?;
            note(&format!("{snapshotter} snapshot"), listed);
        }
        note("ingest", ctr.list(&["content", "active"])?);
        note("image", ctr.list(&["images", "ls"])?);
        note("blob", ctr.list(&["content", "ls"])?);
        let names = [container.id.as_str(), ctr.namespace.as_str()];
        note("mark", marks_of(&names));
        note("watchdog", watchdogs_of(&names));
        note("mount", mounts_of(container)?);
        let root = container.daemon().disk().join("containerd");
        for (kind, folder) in FOLDERS {
            note(kind, names_in(&root.join(folder)));
        }
        note("status", container.status()?.into_iter().collect());
        note(
            "frozen",
            container
                .freezer()
                .map_or(vec![], |f| vec![f.is_frozen().to_string()]),
        );
        Ok(Self { things })
    }

    /// What `later` has and this has not, and the other way round.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let came = later
            .things
            .difference(&self.things)
            .map(|thing| format!("+ {thing}"));
        let went = self
            .things
            .difference(&later.things)
            .map(|thing| format!("- {thing}"));
        came.chain(went).collect()
    }

    /// Panics with the list of changes if there are any.
    pub fn assert_unchanged(&self, later: &Self) {
        let changes = self.changes(later);
        assert!(changes.is_empty(), "left behind:\n{}", changes.join("\n"));
    }
}

/// Marks of other tests' containers are none of ours. A mark's text names the cgroup,
/// and that the container and, where containerd chose it, the namespace.
fn marks_of(names: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(MARKS).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        names.iter().any(|name| text.contains(name))
    });
    ours.map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// Processes that guard a freeze; a zombie's command line is empty.
fn watchdogs_of(names: &[&str]) -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let line = fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
        line.contains("\0watchdog\0") && names.iter().any(|name| line.contains(name))
    });
    ours.map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn mounts_of(container: &Container) -> Result<Vec<String>> {
    let folder = container.daemon().folder();
    let mounts = crate::caretaker::mounts::mounted_below(folder)?;
    Ok(mounts
        .iter()
        .map(|mount| mount.display().to_string())
        .collect())
}
