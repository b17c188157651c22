//! Whatever the base image is made of, and whatever became of its name: the snapshot
//! that the container stands on decides what the new image is made on.

mod documents;
mod fetching;
mod layers;
mod platforms;
mod records;
mod replaced;

use crate::FREEZEFRAME;
use harness::image::{Entry, Image, base};
use harness::{Commit, Container, Daemon, Result, View};
use serde_json::Value;

/// The base of the containers here: none of its layers is all that `BASE` is made of.
const MINE: &str = "docker.io/library/mine:latest";
const IMAGE: &str = "docker.io/library/image:latest";

/// The usual base with one more layer, which says `text` in /srv/mine.
fn mine(text: &str) -> Image {
    base()
        .clone()
        .layer(vec![Entry::file("srv/mine", format!("{text}\n"))])
}

/// A running container of `MINE` with one changed file.
fn changed(daemon: &Daemon) -> Result<Container<'_>> {
    changed_of(daemon, MINE)
}

/// The same of another image.
fn changed_of<'d>(daemon: &'d Daemon, name: &str) -> Result<Container<'d>> {
    let container = Container::run(daemon, name, &["sleep", "1000"])?;
    container.shell("echo changed >/srv/plain")?;
    Ok(container)
}

/// A direct commit of the container, and that its image has the base and the change.
fn commit(container: &Container) -> Result<Commit> {
    let daemon = container.daemon();
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    let image = View::snapshot(daemon, IMAGE)?;
    assert_eq!(image.read("/srv/plain")?, "changed\n");
    assert_eq!(image.read("/srv/mine")?, "mine\n");
    Ok(commit)
}

/// The same, with nothing to warn of.
fn commit_quietly(container: &Container) -> Result {
    let said = commit(container)?.outcome.error_text();
    assert_eq!(said, "");
    Ok(())
}

/// The same where the image's name does not lead to the base: what was taken for it is said.
fn commit_by_layers(container: &Container) -> Result {
    let said = commit(container)?.outcome.error_text();
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in ["not to be found under its name", MINE, "sha256:"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    Ok(())
}

/// Whether a new container of the image has what `changed` made.
fn assert_runs(daemon: &Daemon) -> Result {
    let copy = Container::run(daemon, IMAGE, &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/plain"])?, "changed");
    copy.remove()
}

fn layers(manifest: &Value) -> Vec<Value> {
    manifest["layers"].as_array().cloned().unwrap_or_default()
}

fn digest_of(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().expect("a digest")
}
