//! Whether a container's own changes can be read from an overlay upper directory, and which one.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, FsType, XFS_SUPER_MAGIC, statfs};
use rustix::fs::{major, minor};

use super::{Obstacle, Subject, is_of_view};
use crate::containerd::{Containerd, OverlayMount, TaskStatus};
use crate::system::mounts::{MountEntry, mounts_of, our_mounts, root_of};
use crate::system::same_file::is_same_file;

/// File systems on which a change time has been shown to move with every change that survives a syncfs.
const PROVEN: [FsType; 3] = [EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC];
/// containerd's pkg/snapshotters and snapshotter options.
const ID_MAPPING_LABELS: [&str; 2] = [
    "containerd.io/snapshot/uidmapping",
    "containerd.io/snapshot/gidmapping",
];

const NO_OVERLAY: &str = "the container's root is not an overlay";

/// The upper directory and the chain ID below it.
///
/// # Errors
/// `Obstacle`: it cannot be read as the container's own changes.
pub fn upper_directory(containerd: &Containerd, subject: &Subject) -> Result<(PathBuf, String)> {
    let (snapshotter, key) = (&subject.snapshotter, &subject.snapshot_key);
    let Some(snapshot) = containerd.snapshot(snapshotter, key)? else {
        subject.ensure_not_removed(containerd)?;
        bail!(Obstacle(format!(
            "snapshot {key} of {snapshotter} does not exist"
        )));
    };
    let is_mapped = |label: &&str| snapshot.labels.contains_key(*label);
    ensure!(
        !ID_MAPPING_LABELS.iter().any(is_mapped),
        Obstacle("the snapshot's user IDs are mapped".to_owned())
    );
    let mounts = containerd.snapshot_mounts(snapshotter, key)?;
    let overlay = OverlayMount::of(&mounts).ok_or_else(|| {
        Obstacle(format!(
            "snapshotter {snapshotter} does not mount it as an overlay"
        ))
    })?;
    check_directory(&overlay)?;
    if subject.task.status != TaskStatus::Idle {
        check_running(containerd, subject, &overlay.upper)?;
    }
    Ok((overlay.upper, snapshot.parent))
}

fn check_directory(overlay: &OverlayMount) -> Result<()> {
    ensure!(
        overlay.flags.iter().all(|flag| flag != "userxattr"),
        Obstacle("the overlay keeps its marks in user attributes".to_owned())
    );
    let upper = overlay.upper.display();
    match fs::metadata(&overlay.upper) {
        Ok(_) => Ok(()),
        Err(error) if is_of_view(&error) => {
            bail!(Obstacle(format!("upper directory {upper}: {error}")))
        }
        Err(error) => Err(error).with_context(|| format!("looking at {upper}")),
    }
}

/// The container must see, as its root, the overlay whose upper directory we would read.
fn check_running(containerd: &Containerd, subject: &Subject, upper: &Path) -> Result<()> {
    let pid = subject.task.pid;
    match mounts_of(pid) {
        Ok(mounts) if !mounts.is_empty() => check_root(mounts, upper),
        Err(_) if containerd.has_ended(&subject.id, pid)? => Ok(()),
        // Another root hides all mounts; invalid is the question where the first process has ended but for other threads.
        _ if subject.is_seen_as(pid) && is_mounted_here(upper)? => Ok(()),
        Ok(_) => bail!(Obstacle(NO_OVERLAY.to_owned())),
        Err(error) if is_of_view(&error) || error.kind() == ErrorKind::InvalidInput => {
            bail!(Obstacle(format!(
                "the mounts of process {pid}: {error} (in a pod, hostPID is needed)"
            )))
        }
        Err(error) => Err(error).with_context(|| format!("reading the mounts of process {pid}")),
    }
}

/// Whether we see it mounted, as the shim does that where containerd's state is.
fn is_mounted_here(upper: &Path) -> Result<bool> {
    let ours = our_mounts()?;
    Ok(ours.iter().any(|mount| shows(mount, upper)))
}

/// Whether a file of this directory's file system is known to look different whenever it is.
pub fn is_proven(upper: &Path) -> Result<bool> {
    let asking = || format!("asking for the file system of {}", upper.display());
    let magic = statfs(upper).with_context(asking)?.filesystem_type();
    if magic != EXT4_SUPER_MAGIC {
        return Ok(PROVEN.contains(&magic));
    }
    let device = fs::metadata(upper).with_context(asking)?.dev();
    let mounts = our_mounts()?;
    Ok(is_ext4s(&mounts, (major(device), minor(device))))
}

/// ext2 has ext4's magic and may have a driver of its own, which keeps whole seconds and asks for holes without a lock.
fn is_ext4s(mounts: &[MountEntry], device: (u32, u32)) -> bool {
    let mut of_device = mounts.iter().filter(|mount| mount.device == device);
    of_device.any(|mount| mount.kind == "ext4" || mount.kind == "ext3")
}

fn check_root(mounts: Vec<MountEntry>, upper: &Path) -> Result<()> {
    let root = root_of(mounts).filter(|root| root.kind == "overlay");
    let root = root.ok_or_else(|| Obstacle(NO_OVERLAY.to_owned()))?;
    ensure!(
        shows(&root, upper),
        Obstacle("the container's root has another upper directory than its snapshot".to_owned())
    );
    Ok(())
}

/// Whether it is an overlay with this upper directory.
fn shows(mount: &MountEntry, upper: &Path) -> bool {
    mount
        .upper()
        .is_some_and(|mounted| is_same_file(&mounted, upper))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use harness::{Container, Daemon, Disk, FileSystem, TempDir};

    use super::*;
    use crate::arguments::Invocation;
    use crate::containerd::client;
    use crate::system::mounts::parse;

    fn subject(containerd: &Containerd, container: &Container) -> Subject {
        let line = ["nerdctl", "commit", &container.id, "image"].map(OsString::from);
        let Invocation::Commit(arguments) = Invocation::of(line.into_iter()) else {
            panic!("it is a commit");
        };
        Subject::resolve(containerd, None, &arguments).unwrap()
    }

    fn assert_obstacle<T>(outcome: Result<T>, reason: &str) {
        let error = outcome.err().expect("an obstacle");
        let Obstacle(said) = error.downcast().unwrap();
        assert!(said.contains(reason), "{said}");
    }

    #[test]
    fn a_container_that_sees_another_upper_directory_is_none_of_ours() {
        let daemon = Daemon::start().unwrap();
        let containerd = client(&daemon);
        let [own, other] = [(), ()].map(|()| daemon.run(&["sleep", "1000"]).unwrap());
        let mut subject = subject(&containerd, &own);
        let (upper, _) = upper_directory(&containerd, &subject).unwrap();
        assert_eq!(upper, own.upper().unwrap());
        subject.task.pid = other.pid().unwrap();
        assert_obstacle(
            upper_directory(&containerd, &subject),
            "another upper directory",
        );
    }

    #[test]
    fn a_snapshot_with_mapped_ids_is_none_of_ours() {
        let daemon = Daemon::start().unwrap();
        let containerd = client(&daemon);
        let container = daemon.run(&["sleep", "1000"]).unwrap();
        let subject = subject(&containerd, &container);
        let set = |label: &str| {
            let call = ["snapshots", "label", &container.id, label];
            daemon.ctr().run(&call).unwrap();
        };
        for label in ID_MAPPING_LABELS {
            set(&format!("{label}=0:100000:65536"));
            assert_obstacle(upper_directory(&containerd, &subject), "IDs are mapped");
            set(&format!("{label}="));
            upper_directory(&containerd, &subject).unwrap();
        }
    }

    #[test]
    fn a_root_is_the_overlay_whose_upper_directory_would_be_read() {
        let folders = [(), ()].map(|()| TempDir::new().unwrap());
        let [own, other] = folders.each_ref().map(TempDir::path);
        let check = |kind: &str, upper: &Path| {
            let line = format!(
                "36 35 0:50 / / rw - {kind} none rw,upperdir={}",
                own.display()
            );
            check_root(vec![parse(line.as_bytes()).unwrap()], upper)
        };
        check("overlay", own).unwrap();
        assert_obstacle(check("overlay", other), "another upper directory");
        assert_obstacle(check("ext4", own), NO_OVERLAY);
    }

    #[test]
    fn an_overlay_that_keeps_its_marks_in_user_attributes_is_none_of_ours() {
        let upper = TempDir::new().unwrap();
        let check = |flags: &[&str]| {
            check_directory(&OverlayMount {
                upper: upper.path().to_owned(),
                work: PathBuf::new(),
                lower: Vec::new(),
                flags: flags.iter().map(ToString::to_string).collect(),
            })
        };
        check(&["index=off"]).unwrap();
        assert_obstacle(check(&["index=off", "userxattr"]), "user attributes");
    }

    #[test]
    fn ext4_is_proven_and_tmpfs_is_not() {
        for (file_system, proven) in [(FileSystem::Ext4, true), (FileSystem::Tmpfs, false)] {
            let disk = Disk::new(file_system).unwrap();
            assert_eq!(is_proven(disk.path()).unwrap(), proven, "{file_system:?}");
        }
    }

    #[test]
    fn what_has_the_magic_of_ext4_is_told_by_its_mount() {
        let is = |line: &str| is_ext4s(&[parse(line.as_bytes()).unwrap()], (7, 0));
        assert!(is("36 35 7:0 / /mnt rw - ext4 /dev/loop0 rw"));
        assert!(is("36 35 7:0 /a /mnt rw - ext3 /dev/loop0 rw"));
        assert!(!is("36 35 7:0 / /mnt rw - ext2 /dev/loop0 rw"));
        assert!(!is("36 35 7:1 / /mnt rw - ext4 /dev/loop1 rw"));
    }
}
