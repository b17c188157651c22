//! When a commit says that it is done, its image is on disk: the power may go at once.

use crate::FREEZEFRAME;
use anyhow::{Context, ensure};
use harness::{FileSystem, Options, Result, Tree, image::digest};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const IMAGE: &str = "docker.io/library/kept:latest";
const SNAPSHOTS: &str = "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
const BLOBS: &str = "containerd/io.containerd.content.v1.content/blobs/sha256";
/// Large files and small ones, of which some have been long on disk before the commit.
const CHANGES: &str =
    "head -c 30000000 /dev/urandom >/large; head -c 9000000 /dev/zero >/zeros; sync
    mkdir -p /many/deep; for n in $(seq 300); do head -c 5000 /dev/urandom >/many/deep/$n; done
    ln /many/deep/1 /many/linked; ln -s deep /many/link; rm -r /srv/many";

#[test]
fn an_image_on_ext4_outlives_the_power() -> Result {
    outlives_the_power(FileSystem::Ext4)
}

#[test]
fn an_image_on_xfs_outlives_the_power() -> Result {
    outlives_the_power(FileSystem::Xfs)
}

fn outlives_the_power(file_system: FileSystem) -> Result {
    let options = Options {
        file_system,
        disk_mib: 1024,
        ..Options::default()
    };
    let daemon = options.start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell(CHANGES)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    let snapshot = newest_snapshot(&daemon.disk())?;
    let before = Tree::read(&snapshot)?;
    let kept = daemon.disk_after_power_cut(file_system)?;
    let snapshot = kept.join(snapshot.strip_prefix(daemon.disk())?);
    let after = Tree::read(&snapshot)?;
    after.assert_same(
        &before,
        "the snapshot after the power cut (first) and before",
    );
    assert!(after.entries.len() > 300, "{}", after.entries.len());
    expect_blobs(&commit.report, &kept)
}

/// That of the commit: they have numbers.
fn newest_snapshot(disk: &Path) -> Result<PathBuf> {
    let snapshots = disk.join(SNAPSHOTS);
    let names = fs::read_dir(&snapshots)?.map(|entry| Ok(entry?.file_name()));
    let names: Vec<_> = names.collect::<Result<_>>()?;
    let numbers = names.iter().filter_map(|name| name.to_str()?.parse().ok());
    let newest: u64 = numbers.max().context("no snapshot")?;
    Ok(snapshots.join(newest.to_string()).join("fs"))
}

fn expect_blobs(report: &Value, disk: &Path) -> Result {
    for field in ["layer_digest", "config_digest", "manifest_digest"] {
        let name = report[field].as_str().with_context(|| field.to_owned())?;
        let hexadecimal = name.trim_start_matches("sha256:");
        let blob = fs::read(disk.join(BLOBS).join(hexadecimal))?;
        ensure!(digest(&blob) == name, "{field} {name} is damaged");
    }
    Ok(())
}
