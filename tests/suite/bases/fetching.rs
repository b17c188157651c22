//! Base layers that the content store no longer has, and a registry does: the real nerdctl
//! fetches them, as for its own commit.

use super::layers::{discard, save};
use super::{IMAGE, assert_runs, mine};
use crate::FREEZEFRAME;
use harness::{Commit, Container, Daemon, Registry, Result, Signal};
use std::net::TcpListener;

/// A container of an image `name` with one changed file, all of whose layers are discarded.
fn without_layers<'d>(daemon: &'d Daemon, name: &str) -> Result<Container<'d>> {
    let container = Container::run(daemon, name, &["sleep", "1000"])?;
    container.shell("echo changed >/srv/plain")?;
    discard(daemon, name, 3)?;
    Ok(container)
}

/// A registry that has the image under the name that is returned.
fn with_registry(daemon: &Daemon) -> Result<(Registry<'_>, String)> {
    let registry = Registry::start(daemon)?;
    let name = format!("{}/team/mine:1", registry.address);
    mine("mine").import(daemon, &name)?;
    registry.take(&name)?;
    Ok((registry, name))
}

fn commit(container: &Container) -> Result<Commit> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    Ok(commit)
}

fn image_names(daemon: &Daemon) -> Result<Vec<String>> {
    let names = daemon.ctr().run(&["images", "ls", "--quiet"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// By digest: what the name leads to in the registry by now is another image.
#[test]
fn what_the_base_lacks_is_fetched_so_that_the_image_can_be_pushed() -> Result {
    let daemon = Daemon::start()?;
    let (registry, name) = with_registry(&daemon)?;
    let container = without_layers(&daemon, &name)?;
    let moved = format!("{}/team/other:1", registry.address);
    mine("other").import(&daemon, &moved)?;
    let ctr = daemon.ctr();
    ctr.run(&["images", "tag", &moved, &format!("{name}-moved")])?;
    let before = image_names(&daemon)?;

    let commit = commit(&container)?;
    assert_eq!(commit.outcome.error_text(), "");
    assert!(commit.report["stages_ms"]["fetch"].is_number());
    let mut expected = [before, vec![IMAGE.to_owned()]].concat();
    expected.sort();
    assert_eq!(image_names(&daemon)?, expected);

    // The image holds what has come itself, whatever becomes of the base.
    container.remove()?;
    ctr.run(&["images", "rm", "--sync", &name])?;
    save(&daemon)?.succeeded()?;
    let pushed = format!("{}/team/pushed:1", registry.address);
    ctr.run(&["images", "tag", IMAGE, &pushed])?;
    registry.take(&pushed)?;
    assert_runs(&daemon)
}

#[test]
fn a_record_of_the_base_by_its_digest_stays() -> Result {
    let daemon = Daemon::start()?;
    let (_registry, name) = with_registry(&daemon)?;
    let digest = daemon.ctr().image_digest(&name)?;
    let by_digest = name.replace(":1", &format!("@{digest}"));
    daemon.ctr().run(&["images", "tag", &name, &by_digest])?;
    let container = without_layers(&daemon, &name)?;
    assert_eq!(commit(&container)?.outcome.error_text(), "");
    assert!(image_names(&daemon)?.contains(&by_digest));
    Ok(())
}

/// The name of an image of a registry that takes connections and never answers.
fn with_silent_registry(daemon: &Daemon) -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let name = format!("{}/team/mine:1", listener.local_addr()?);
    mine("mine").import(daemon, &name)?;
    Ok((listener, name))
}

fn assert_made_with_warning(daemon: &Daemon, commit: &Commit, reason: &str) -> Result {
    let said = commit.outcome.error_text();
    for part in ["3 of the 3 layers", reason] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(commit.outcome.text().starts_with("sha256:"));
    assert_eq!(commit.report["result"], "ok");
    assert_runs(daemon)
}

#[test]
fn a_registry_that_says_nothing_is_given_up() -> Result {
    let daemon = Daemon::start()?;
    let (_listener, name) = with_silent_registry(&daemon)?;
    let container = without_layers(&daemon, &name)?;
    let commit = commit(&container)?;
    let said = commit.outcome.error_text();
    assert!(said.contains("level=info msg=\"the image is made; 3 of the 3 layers"));
    assert_made_with_warning(&daemon, &commit, "nothing has come for 20 seconds")
}

#[test]
fn a_signal_ends_the_wait_for_a_registry_and_leaves_the_image() -> Result {
    let daemon = Daemon::start()?;
    let (_listener, name) = with_silent_registry(&daemon)?;
    let container = without_layers(&daemon, &name)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("fetch")?;
    committing.signal(Signal::INT)?;
    let commit = committing.finish()?.succeeded()?;
    assert_made_with_warning(&daemon, &commit, "not waited for any longer")
}
