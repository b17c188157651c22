//! Removed in the middle: what was taken by then makes an image, else the error says so.

use super::{IMAGE, STAGES, Scene, writing};
use crate::FREEZEFRAME;
use harness::{Commit, Container, Daemon, Freezeframe, Leftovers, Result};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};

/// From here on the container has been taken.
const TAKEN: [&str; 3] = ["finish", "layer", "image"];

#[test]
fn a_container_that_containerd_removes_meanwhile_is_named_and_nothing_is_left() -> Result {
    removed_at_every_stage(beside_nerdctl, remove_behind_nerdctl)
}

/// The real nerdctl has words of its own for a container that is not there.
#[test]
fn a_container_that_is_removed_meanwhile_is_named_without_any_nerdctl() -> Result {
    removed_at_every_stage(alone, remove_behind_nerdctl)
}

/// No nerdctl to fall back on.
fn alone(daemon: &Daemon) -> Result<Freezeframe<'_>> {
    let nothing = daemon.new_folder("path")?;
    let freezeframe = beside_nerdctl(daemon)?.with("FREEZEFRAME_NERDCTL", "");
    Ok(freezeframe.with("PATH", nothing))
}

fn beside_nerdctl(daemon: &Daemon) -> Result<Freezeframe<'_>> {
    daemon.freezeframe(FREEZEFRAME)
}

fn remove_behind_nerdctl(container: &Container) -> Result<Option<Child>> {
    container.delete_task()?;
    let ctr = container.daemon().ctr();
    ctr.run(&["containers", "rm", &container.id])?;
    ctr.collect_garbage()?;
    Ok(None)
}

/// nerdctl waits where it would take the tree from under us, but for as long as that only.
#[test]
fn a_container_that_nerdctl_removes_meanwhile_is_named_and_nothing_is_left() -> Result {
    removed_at_every_stage(beside_nerdctl, |container| {
        begin_removal(container).map(Some)
    })
}

/// So long that it is done, or waits.
pub fn begin_removal(container: &Container) -> Result<Child> {
    let mut command = container.daemon().nerdctl()?.command();
    command.args(["rm", "--force", &container.name]);
    let mut child = command.stdout(Stdio::null()).spawn()?;
    for _ in 0..100 {
        if child.try_wait()?.is_some() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    Ok(child)
}

fn removed_at_every_stage(
    program: impl Fn(&Daemon) -> Result<Freezeframe<'_>>,
    remove: impl Fn(&Container) -> Result<Option<Child>>,
) -> Result {
    let daemon = Daemon::start()?;
    let witness = daemon.run(&["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&witness)?;
    for stage in STAGES {
        let container = writing(&daemon)?;
        let state = state_directory(&container)?;
        let scene = Scene {
            freezeframe: program(&daemon)?,
            before: before.clone(),
            container,
        };
        let mut remover = None;
        let commit = scene.commit_while(stage, |container| {
            remover = remove(container)?;
            Ok(())
        })?;
        if let Some(mut remover) = remover {
            assert!(remover.wait()?.success(), "{stage}");
            assert!(!state.exists(), "{} after {stage}", state.display());
        }
        assert_eq!(scene.container.status()?, None, "{stage}");
        expect_image_or_error(&scene, &commit, stage)?;
        daemon.ctr().collect_garbage()?;
        before.assert_unchanged(&Leftovers::now(&witness)?);
    }
    Ok(())
}

fn expect_image_or_error(scene: &Scene, commit: &Commit, stage: &str) -> Result {
    let ctr = scene.container.daemon().ctr();
    if commit.outcome.status.success() {
        assert_ne!(stage, "plan");
        scene.expect_lawful_image(stage)?;
        ctr.run(&["images", "rm", "--sync", IMAGE])?;
        return Ok(());
    }
    assert!(
        !TAKEN.contains(&stage),
        "{stage}: {}",
        commit.outcome.describe()
    );
    expect_named_as_removed(scene, commit, stage);
    ctr.image_digest(IMAGE)
        .expect_err("an image of a container that was removed");
    Ok(())
}

/// By the error, and by the report as well.
pub fn expect_named_as_removed(scene: &Scene, commit: &Commit, stage: &str) {
    assert_eq!(commit.outcome.status.code(), Some(1), "{stage}");
    let said = commit.outcome.error_text();
    let last = said.lines().last().unwrap_or_default();
    let (id, name) = (&scene.container.id, &scene.container.name);
    let names = last.contains(id) || last.contains(name);
    assert!(
        names && last.contains("removed") || last.contains("no such container"),
        "{stage}: {said}"
    );
    let report = &commit.report;
    assert_eq!(report["result"], "error", "{stage}: {report:#}");
    let reported = report["error"].as_str().unwrap_or_default();
    let is_same = !reported.is_empty() && last.contains(reported);
    let by_nerdctl = report["strategy"] == "delegate" && reported.contains("nerdctl");
    assert!(is_same || by_nerdctl, "{stage}: {said}\n{report:#}");
    // Its name may have led nowhere.
    let known = &report["container_id"];
    assert!(
        known.is_null() || known == id.as_str(),
        "{stage}: {report:#}"
    );
    assert!(report["config_digest"].is_null(), "{stage}: {report:#}");
}

fn state_directory(container: &Container) -> Result<PathBuf> {
    let label = container.info()?["Labels"]["nerdctl/state-dir"].clone();
    Ok(label.as_str().expect("nerdctl's label").into())
}

/// nerdctl's `rm` holds that lock, and takes its directory away in the end.
#[test]
fn a_container_that_is_removed_while_its_lock_is_waited_for_is_named() -> Result {
    let daemon = Daemon::start()?;
    let container = writing(&daemon)?;
    let state = state_directory(&container)?;
    fs::create_dir_all(state.join("oplock"))?;
    let lock = File::open(state.join("oplock"))?;
    flock(&lock, FlockOperation::LockExclusive)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("lock")?;
    std::thread::sleep(std::time::Duration::from_millis(200));
    remove_behind_nerdctl(&container)?;
    fs::remove_dir_all(&state)?;
    drop(lock);
    let commit = committing.finish()?.failed()?;
    let said = commit.outcome.error_text();
    let expected = format!("container {} was removed while", container.id);
    assert!(said.contains(&expected), "{said}");
    assert!(!state.exists(), "{} is back", state.display());
    Ok(())
}

#[test]
fn a_state_directory_that_is_gone_is_not_made_again() -> Result {
    let daemon = Daemon::start()?;
    let container = writing(&daemon)?;
    let state = state_directory(&container)?;
    fs::remove_dir_all(&state)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    // Whoever resolves the name may well make it.
    let freezeframe = freezeframe
        .with("FREEZEFRAME_NERDCTL", "")
        .with("PATH", &state);
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    assert!(!state.exists(), "{} is back", state.display());
    Ok(())
}
