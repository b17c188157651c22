//! Base layers that the content store no longer has, as on nodes of Kubernetes where
//! containerd discards what it has unpacked (`discard_unpacked_layers`).

use super::{IMAGE, MINE, assert_runs, changed, commit, commit_quietly, digest_of, layers, mine};
use crate::FREEZEFRAME;
use harness::{Container, Daemon, Leftovers, Outcome, Result};

const AGAIN: &str = "docker.io/library/again:latest";

/// A container of an image whose first `count` layers are then discarded.
fn without_layers(daemon: &Daemon, count: usize) -> Result<Container<'_>> {
    mine("mine").import(daemon, MINE)?;
    let container = changed(daemon)?;
    discard(daemon, MINE, count)?;
    Ok(container)
}

pub fn discard(daemon: &Daemon, reference: &str, count: usize) -> Result {
    for layer in &layers(&daemon.ctr().manifest(reference)?)[..count] {
        daemon.ctr().run(&["content", "rm", digest_of(layer)])?;
    }
    Ok(())
}

/// One line, which says how many of how many are missing, of what, and what helps: not by the
/// name, which may lead elsewhere by now.
fn assert_warns(daemon: &Daemon, outcome: &Outcome, missing: &str, of: &str) -> Result {
    let said = outcome.error_text();
    assert_eq!(said.lines().count(), 1, "{said}");
    let ctr = daemon.ctr();
    let flags = format!("-a {} -n {}", ctr.address, ctr.namespace);
    let repository = of.trim_end_matches(":latest");
    let source = format!("{repository}@{}", ctr.image_digest(of)?);
    let remedies = [
        format!("nerdctl {flags} pull --unpack=false {source}`"),
        format!("ctr {flags} content fetch {source}`"),
    ];
    let expected = ["level=warning", missing, "pushed or saved"];
    for part in expected.into_iter().chain(remedies.iter().map(|r| &**r)) {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    Ok(())
}

pub fn save(daemon: &Daemon) -> Result<Outcome> {
    let file = daemon.disk().join(daemon.unique("saved"));
    let file = file.display().to_string();
    daemon.ctr().outcome(&["images", "export", &file, IMAGE])
}

#[test]
fn an_image_on_discarded_layers_is_made_and_runs_with_a_warning() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 3)?;
    assert_warns(
        &daemon,
        &commit(&container)?.outcome,
        "3 of the 3 layers",
        MINE,
    )?;
    assert_runs(&daemon)?;
    container.remove()?;
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    assert_runs(&daemon)
}

#[test]
fn the_warning_counts_the_layers_that_are_missing() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 1)?;
    assert_warns(
        &daemon,
        &commit(&container)?.outcome,
        "1 of the 3 layers",
        MINE,
    )?;
    mine("mine").import(&daemon, MINE)?;
    commit_quietly(&container)
}

/// What a commit says that stands still while it is to copy.
fn said_by_commit_while(container: &Container, act: impl FnOnce() -> Result) -> Result<String> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit_while(container, IMAGE, &[], "copy", act)?;
    Ok(commit.succeeded()?.outcome.error_text())
}

#[test]
fn layers_that_are_discarded_during_the_commit_are_counted() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 0)?;
    container.shell("head -c 100000000 /dev/urandom >/srv/bulk")?;
    let said = said_by_commit_while(&container, || discard(&daemon, MINE, 2))?;
    assert!(said.contains("2 of the 3 layers"), "{said}");
    Ok(())
}

#[test]
fn a_base_that_is_removed_during_the_commit_stays_for_the_new_image() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 0)?;
    container.shell("head -c 30000000 /dev/urandom >/srv/bulk")?;
    let said = said_by_commit_while(&container, || {
        daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
        daemon.ctr().collect_garbage()
    })?;
    assert!(!said.contains("level=warning"), "{said}");
    let kept = daemon.ctr().run(&["content", "ls", "--quiet"])?;
    for layer in layers(&daemon.ctr().manifest(IMAGE)?) {
        assert!(kept.contains(digest_of(&layer)), "{layer} is not in {kept}");
    }
    assert_runs(&daemon)
}

#[test]
fn an_image_on_discarded_layers_is_the_base_of_the_next() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 3)?;
    commit(&container)?;
    let second = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    second.shell("echo second >/srv/second")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let again = freezeframe.commit(&second, AGAIN, &[])?.succeeded()?;
    assert_warns(&daemon, &again.outcome, "3 of the 4 layers", IMAGE)?;
    let third = Container::run(&daemon, AGAIN, &["sleep", "1000"])?;
    let seen = third.shell("cat /srv/mine /srv/plain /srv/second")?;
    assert_eq!(seen, "mine\nchanged\nsecond");
    Ok(())
}

#[test]
fn an_image_on_discarded_layers_goes_with_all_that_is_its_own() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 3)?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    commit(&container)?;
    daemon.ctr().collect_garbage()?;
    let came = before.changes(&Leftovers::now(&container)?);
    // Image; configuration, manifest and layer with their files; and a snapshot with its folder.
    assert_eq!(came.len(), 9, "{came:?}");
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}

#[test]
fn once_the_layers_are_fetched_again_the_image_can_be_saved() -> Result {
    let daemon = Daemon::start()?;
    let container = without_layers(&daemon, 3)?;
    commit(&container)?;
    save(&daemon)?.failed()?;
    mine("mine").import(&daemon, MINE)?;
    save(&daemon)?.succeeded()?;
    commit_quietly(&container)?;
    // The image holds them itself now.
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    save(&daemon)?.succeeded()?;
    Ok(())
}
