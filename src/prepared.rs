//! The new snapshot: an empty upper directory on the container's own layers, which becomes the clone. It is the one that
//! containerd has just made, and can be written to; the layers are those that containerd sees, and there may be one more.

use std::io;
use std::iter::once;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::param::page_size;

use crate::containerd::{Containerd, OverlayMount};
use crate::digest::Sha256Digest;
use crate::plan::{DirectPlan, Obstacle, Subject, is_of_view};
use crate::system::clock::Moment;

/// containerd's own, whose layers are directories. Others may mount them (stargz, SOCI, nydus), where we need not see that.
const OF_DIRECTORIES: &str = "overlayfs";

/// fs/overlayfs/params.c of the kernel, `OVL_MAX_STACK`.
const MOST_LAYERS: usize = 500;

/// Has containerd make the snapshot, as `key`.
///
/// # Errors
/// `Obstacle`.
pub fn prepare(
    containerd: &Containerd,
    subject: &Subject,
    plan: &DirectPlan,
    key: &str,
) -> Result<OverlayMount> {
    let before = Moment::stamped_now();
    let mounts = containerd.prepare_snapshot(&subject.snapshotter, key, &plan.parent)?;
    let overlay = OverlayMount::of(&mounts)
        .context("the snapshotter does not mount a new snapshot as an overlay")?;
    let upper = &overlay.upper;
    let is_new = *upper != plan.upper && seen(upper, is_empty_since(upper, before))?;
    ensure!(is_new, Obstacle::elsewhere(upper));
    Obstacle::check_writable(upper)?;
    check_height(&overlay)?;
    let (are_directories, nothing) = (subject.snapshotter == OF_DIRECTORIES, nothing());
    let diff_ids = plan.base.diff_ids();
    for (index, layer) in overlay.lower.iter().rev().enumerate() {
        let may_be_empty = are_directories || diff_ids.get(index) == Some(&&*nothing);
        let is_seen = seen(layer, shows(layer, may_be_empty))?;
        ensure!(is_seen, Obstacle::elsewhere(layer));
    }
    Ok(overlay)
}

/// From the image, which has one layer more than `overlay`, containers must start: it may replace the last one that runs.
fn check_height(overlay: &OverlayMount) -> Result<()> {
    let layers = overlay.lower.len() + 1;
    ensure!(
        layers <= MOST_LAYERS && options_above(overlay).len() < page_size(),
        "the image would have {layers} layers, more than can be mounted for a container: commit one whose image has fewer, \
         or make an image of one layer first (`nerdctl export CONTAINER | nerdctl import - IMAGE`)"
    );
    Ok(())
}

/// The options of such a container's mount, as far as its names are known. mount(2) takes a page of them with its end, and
/// containerd names layers by what their paths have not in common (its core/mount, `compactLowerdirOption`).
fn options_above(overlay: &OverlayMount) -> String {
    let OverlayMount { upper, work, .. } = overlay;
    let layers: Vec<&Path> = once(upper)
        .chain(&overlay.lower)
        .map(PathBuf::as_path)
        .collect();
    let common = layers.iter().copied().reduce(in_common);
    let names: Vec<_> = layers
        .iter()
        .filter_map(|layer| layer.strip_prefix(common?).ok()?.to_str())
        .collect();
    let directories = format!(
        "workdir={},upperdir={},lowerdir={}",
        work.display(),
        upper.display(),
        names.join(":")
    );
    [&overlay.flags[..], &[directories]].concat().join(",")
}

/// What is above both.
fn in_common<'p>(one: &'p Path, other: &Path) -> &'p Path {
    let mut above = one.ancestors();
    above.find(|path| other.starts_with(path)).unwrap_or(one)
}

/// What was found out of a directory; false where it is not there for us.
fn seen(directory: &Path, answer: io::Result<bool>) -> Result<bool> {
    match answer {
        Err(error) if is_of_view(&error) => Ok(false),
        answer => answer.with_context(|| format!("looking at {}", directory.display())),
    }
}

/// The digest of an archive without entries, which is two blocks of zeros (pax(1), "ustar Interchange Format").
fn nothing() -> String {
    Sha256Digest::of(&[0; 1024]).to_string()
}

/// Whether a layer is seen here. An empty directory may be what is left of one where its mount is not.
fn shows(layer: &Path, may_be_empty: bool) -> io::Result<bool> {
    if !is_empty(layer)? || may_be_empty {
        return Ok(true);
    }
    let is_mount_point = layer.metadata()?.dev() != layer.join("..").metadata()?.dev();
    Ok(is_mount_point)
}

/// Whether the directory is empty, and was made no earlier than `before`.
fn is_empty_since(directory: &Path, before: Moment) -> io::Result<bool> {
    let metadata = directory.metadata()?;
    let nanoseconds = u32::try_from(metadata.ctime_nsec()).unwrap_or(0);
    let changed = Moment::new(metadata.ctime(), nanoseconds);
    // Some file systems know whole seconds alone.
    let is_new = changed >= before || nanoseconds == 0 && changed.seconds() == before.seconds();
    Ok(is_new && is_empty(directory)?)
}

fn is_empty(directory: &Path) -> io::Result<bool> {
    Ok(directory.read_dir()?.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use super::*;

    fn overlay(layers: usize) -> OverlayMount {
        let of = |number: usize, name| PathBuf::from(format!("/snapshots/{number}/{name}"));
        OverlayMount {
            upper: of(layers, "fs"),
            work: of(layers, "work"),
            lower: (0..layers).rev().map(|layer| of(layer, "fs")).collect(),
            flags: vec!["index=off".to_owned()],
        }
    }

    #[test]
    fn no_image_has_more_layers_than_can_be_mounted() {
        check_height(&overlay(MOST_LAYERS - 1)).unwrap();
        check_height(&overlay(MOST_LAYERS)).unwrap_err();
        let mut long = overlay(2);
        check_height(&long).unwrap();
        long.flags.push("x".repeat(page_size()));
        check_height(&long).unwrap_err();
    }

    #[test]
    fn layers_are_named_by_what_their_paths_have_not_in_common() {
        let expected =
            "index=off,workdir=/snapshots/2/work,upperdir=/snapshots/2/fs,lowerdir=2/fs:1/fs:0/fs";
        assert_eq!(options_above(&overlay(2)), expected);
    }

    #[test]
    fn a_layer_that_may_be_mounted_elsewhere_is_not_taken_for_an_empty_one() {
        let folder = harness::TempDir::new().unwrap();
        let (full, empty) = (folder.path().join("full"), folder.path().join("empty"));
        fs::create_dir_all(full.join("etc")).unwrap();
        fs::create_dir(&empty).unwrap();
        assert!(shows(&full, false).unwrap());
        let mounts = |words: &[&str]| {
            let done = Command::new(words[0])
                .args(&words[1..])
                .arg(&empty)
                .status();
            assert!(done.unwrap().success());
        };
        mounts(&["mount", "-t", "tmpfs", "none"]);
        let mounted = shows(&empty, false);
        mounts(&["umount"]);
        assert!(mounted.unwrap());
        assert!(!shows(&empty, false).unwrap());
        assert!(shows(&empty, true).unwrap());
        assert!(shows(&folder.path().join("gone"), true).is_err());
    }
}
