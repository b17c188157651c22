//! What overlayfs does to an upper directory, case by case.

use super::scene::{Agreed, after, after_script, after_tampering, agree_on, agree_with};
use super::{OURS, ground};
use crate::FREEZEFRAME;
use anyhow::bail;
use flate2::read::GzDecoder;
use harness::{Container, Daemon, Kind, Leftovers, Result, outcome, skipped};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};
use std::fs::{self, File};
use std::io::Cursor;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

fn whiteout(path: &Path) -> Result {
    Ok(mknodat(
        CWD,
        path,
        FileType::CharacterDevice,
        Mode::empty(),
        0,
    )?)
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result {
    Ok(lsetxattr(path, name, value, XattrFlags::empty())?)
}

#[test]
fn whiteouts_of_every_kind_of_entry() -> Result {
    let agreed = after_script(
        "rm deleted symlink fifo device pair-one capable && rm -r deleted-directory emptied/* to-file/nested",
    )?;
    for name in [
        "deleted",
        "symlink",
        "fifo",
        "device",
        "deleted-directory/child",
        "to-file/nested",
    ] {
        assert!(!agreed.has(name), "{name}");
    }
    assert!(agreed.has("emptied") && agreed.has("to-file/child") && agreed.has("pair-two"));
    Ok(())
}

#[test]
fn opaque_directories() -> Result {
    let agreed = after_script(
        "rm -r recreated recreated-same emptied
         mkdir recreated && echo new >recreated/new
         mkdir recreated-same && echo new >recreated-same/child && mkdir recreated-same/nested
         mkdir emptied",
    )?;
    assert!(agreed.has("recreated/new") && !agreed.has("recreated/child"));
    assert!(agreed.has("recreated-same/child") && !agreed.has("recreated-same/nested/grandchild"));
    assert!(agreed.has("emptied") && !agreed.has("emptied/other"));
    Ok(())
}

/// Readers of layers that know no opaque mark would bring back what it hides.
#[test]
fn what_a_recreated_directory_hides_is_named_in_the_layer() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.shell(
        "cd /tree; rm -r recreated recreated-same
         mkdir -p recreated/nested && echo new >recreated/new
         mkdir recreated-same && echo new >recreated-same/child",
    )?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(&container, OURS, &[])?.succeeded()?;
    let digest = commit.report["layer_digest"].as_str().unwrap_or_default();
    let mut layer = tar::Archive::new(GzDecoder::new(Cursor::new(daemon.ctr().blob(digest)?)));
    let mut whiteouts = Vec::new();
    for entry in layer.entries()? {
        let path = entry?.path()?.display().to_string();
        whiteouts.extend(path.contains(".wh.").then_some(path));
    }
    let expected = [
        "tree/recreated/.wh.child",
        "tree/recreated/nested/.wh.grandchild",
        "tree/recreated/.wh.other",
        "tree/recreated-same/.wh.nested",
        "tree/recreated-same/.wh.other",
    ];
    assert_eq!(whiteouts, expected);
    agree_with(&container, commit)?;
    Ok(())
}

#[test]
fn a_directory_over_a_file_and_a_file_over_a_directory() -> Result {
    let agreed = after_script(
        "rm to-directory && mkdir to-directory && echo in >to-directory/child
         rm symlink-to-directory && mkdir symlink-to-directory && touch symlink-to-directory/child
         rm fifo && mkdir -p fifo/deeper
         rm -r to-file && echo now >to-file && rm -r untouched && ln -s nowhere untouched
         rm -r renamed-directory && mkfifo renamed-directory",
    )?;
    assert!(agreed.has("to-directory/child") && agreed.has("fifo/deeper"));
    assert_eq!(*agreed.kind("untouched"), Kind::Symlink("nowhere".into()));
    assert_eq!(*agreed.kind("renamed-directory"), Kind::Fifo);
    Ok(())
}

/// The kernel lists such a whiteout in a directory that is merged of one layer only, and has nothing there: no differ
/// gets past it. It is asked without them, as they hide nothing.
fn agree_without(whiteouts: &[&str], prepare: impl FnOnce(&Path) -> Result) -> Result<Agreed> {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.shell("touch /tree/copied-up; rm /tree/copied-up")?;
    container.stop()?;
    let tree = container.upper()?.join("tree");
    prepare(&tree)?;
    for path in whiteouts {
        whiteout(&tree.join(path))?;
    }
    let commit = daemon
        .freezeframe(FREEZEFRAME)?
        .commit(&container, OURS, &[])?
        .succeeded()?;
    for path in whiteouts {
        let folder = File::open(tree.join(path).parent().unwrap_or(&tree))?;
        let modified = folder.metadata()?.modified()?;
        fs::remove_file(tree.join(path))?;
        folder.set_modified(modified)?;
    }
    agree_with(&container, commit)
}

#[test]
fn a_whiteout_under_a_new_opaque_directory() -> Result {
    let whiteouts = ["new/gone", "untouched/child", "untouched/nested/grandchild"];
    let agreed = agree_without(&whiteouts, |tree| {
        fs::create_dir_all(tree.join("untouched/nested"))?;
        fs::create_dir(tree.join("new"))?;
        fs::write(tree.join("new/file"), "new")?;
        set(&tree.join("new"), "trusted.overlay.opaque", b"y")?;
        set(&tree.join("untouched"), "trusted.overlay.opaque", b"y")
    })?;
    assert!(agreed.has("new/file") && !agreed.has("new/gone"));
    assert!(agreed.has("untouched/nested") && !agreed.has("untouched/child"));
    assert!(!agreed.has("untouched/other") && !agreed.has("untouched/nested/grandchild"));
    Ok(())
}

#[test]
fn whiteouts_of_what_was_never_there() -> Result {
    let agreed = agree_without(&["never", "new/never", "emptied/never"], |tree| {
        fs::create_dir(tree.join("emptied"))?;
        Ok(fs::create_dir(tree.join("new"))?)
    })?;
    assert!(agreed.has("new") && agreed.has("emptied/child") && !agreed.has("new/never"));
    Ok(())
}

/// overlayfs writes them in layers that another overlay stacks (kernel: filesystems/overlayfs.rst, nested mounts).
#[test]
fn the_attribute_form_of_whiteouts() -> Result {
    if !knows_the_marks_of_others()? {
        skipped("before Linux 6.7 overlayfs has no such whiteouts");
        return Ok(());
    }
    let agreed = after_tampering(|tree| {
        fs::create_dir(tree.join("emptied"))?;
        set(&tree.join("emptied"), "trusted.overlay.opaque", b"x")?;
        fs::write(tree.join("emptied/child"), "")?;
        set(
            &tree.join("emptied/child"),
            "trusted.overlay.whiteout",
            b"y",
        )
    })?;
    assert!(!agreed.has("emptied/child") && agreed.has("emptied/other"));
    Ok(())
}

/// Overlays can be stacked since Linux 6.7.
fn knows_the_marks_of_others() -> Result<bool> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split('.').map(str::parse);
    let (major, minor): (u32, u32) = match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => (major?, minor?),
        _ => bail!("a kernel of release {release}"),
    };
    Ok((major, minor) >= (6, 7))
}

/// Marks of an overlay inside of the container, and of one that keeps its marks there (userxattr).
#[test]
fn attributes_of_other_overlays_mean_nothing() -> Result {
    let agreed = after(|tree| {
        for (name, attribute) in [
            ("emptied", "user.overlay.opaque"),
            ("touched", "user.overlay.whiteout"),
            ("modified", "user.overlay.metacopy"),
            ("to-file", "user.overlay.redirect"),
        ] {
            set(&tree.join(name), attribute, b"y")?;
        }
        fs::write(tree.join("empty"), "")?;
        if !knows_the_marks_of_others()? {
            skipped("before Linux 6.7 overlayfs has nobody set marks like its own");
            return Ok(());
        }
        set(&tree.join("recreated"), "trusted.overlay.opaque", b"y")?;
        set(&tree.join("empty"), "trusted.overlay.whiteout", b"y")
    })?;
    assert!(agreed.has("emptied/child") && agreed.has("recreated/child") && agreed.has("empty"));
    assert!(agreed.has("modified") && agreed.has("to-file/nested/grandchild"));
    Ok(())
}

/// The container's overlay, mounted as no snapshotter here does, while `change` works on its `/tree`.
fn with_mount_option(
    container: &Container,
    option: &str,
    change: impl FnOnce(&Path) -> Result,
) -> Result {
    let daemon = container.daemon();
    let target = daemon.new_folder("mount")?;
    daemon
        .ctr()
        .mount_snapshot(&container.id, &target, option)?;
    let changed = change(&target.join("tree"));
    outcome(Command::new("umount").arg(&target))?.succeeded()?;
    changed
}

#[test]
fn redirected_directories_are_left_to_the_differ() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.stop()?;
    with_mount_option(&container, "redirect_dir=on", |tree| {
        Ok(fs::rename(
            tree.join("renamed-directory"),
            tree.join("renamed-now"),
        )?)
    })?;
    container.start()?;
    container.shell("echo new >/tree/renamed-now/new")?;
    let agreed = agree_on(&container)?;
    assert_eq!(agreed.commit.report["strategy"], "delegate");
    let reason = agreed.commit.report["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("/tree/renamed-now") && reason.contains("redirect"),
        "{reason}"
    );
    assert!(agreed.has("renamed-now/nested/grandchild") && agreed.has("renamed-now/new"));
    assert!(!agreed.has("renamed-directory"));
    Ok(())
}

/// Where the mount does not allow it, overlayfs opens such a file for nobody, the container and the differ included.
#[test]
fn a_file_whose_content_overlayfs_keeps_from_everybody_is_not_committed() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    container.stop()?;
    with_mount_option(&container, "metacopy=on", |tree| {
        Ok(fs::set_permissions(
            tree.join("modified"),
            PermissionsExt::from_mode(0o600),
        )?)
    })?;
    container.start()?;
    container.exec(&["cat", "/tree/modified"])?.failed()?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let delegated = daemon
        .freezeframe(FREEZEFRAME)?
        .commit(&container, OURS, &[])?
        .failed()?;
    assert_eq!(delegated.report["strategy"], "delegate");
    let said = delegated.outcome.error_text();
    assert!(
        said.contains("/tree/modified") && said.contains("not permitted"),
        "{said}"
    );
    let direct = daemon
        .freezeframe(FREEZEFRAME)?
        .with("FREEZEFRAME_STRATEGY", "direct");
    let said = direct
        .commit(&container, OURS, &[])?
        .failed()?
        .outcome
        .error_text();
    assert!(
        said.contains("/tree/modified") && said.contains("metacopy"),
        "{said}"
    );
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}
