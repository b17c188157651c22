//! Commits to the name of an image that other containers are made from, and commits of what comes of that, over and over.

use super::{IMAGE, MINE, changed, digest_of, layers, mine};
use crate::FREEZEFRAME;
use harness::image::{Entry, Index, architecture};
use harness::{Commit, Container, Daemon, Leftovers, Result};
use serde_json::Value;

/// A commit to the name of the base, whose image has its layers, and the container's.
fn commit_to_base(container: &Container, below: &[Value]) -> Result<Commit> {
    let daemon = container.daemon();
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, MINE, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    daemon.ctr().collect_garbage()?;
    let now = layers(&daemon.ctr().manifest(MINE)?);
    assert_eq!((&now[..now.len() - 1], now.len() - 1), (below, below.len()));
    Ok(commit)
}

#[test]
fn a_base_stays_for_other_containers_though_a_commit_took_its_name() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").label("base").import(&daemon, MINE)?;
    let base = daemon.ctr().manifest(MINE)?;
    let below = layers(&base);
    let container = changed(&daemon)?;
    let other = Container::run(&daemon, MINE, &["sleep", "2000"])?;
    other.shell("echo theirs >/srv/of-the-other")?;
    let before = daemon.ctr().list(&["images", "ls", "-q"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let change = r#"LABEL from="another program""#;
    let first = freezeframe.commit(&other, MINE, &["--change", change])?;
    assert_eq!(first.succeeded()?.outcome.error_text(), "");
    for _ in 0..2 {
        let said = commit_to_base(&container, &below)?.outcome.error_text();
        assert!(said.contains("not to be found under its name"), "{said}");
        let config = daemon.ctr().config(MINE)?;
        assert_eq!(config["config"]["Labels"]["from"], "base");
        assert_shows(&daemon, "changed", "of-the-other")?;
        commit_to_base(&other, &below)?;
        assert_shows(&daemon, "of-the-other", "changed")?;
    }
    let images = daemon.ctr().list(&["images", "ls", "-q"])?;
    assert_eq!(images, before, "no image is added");
    for container in [container, other] {
        container.remove()?;
    }
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    let config = digest_of(&base["config"]);
    let left = daemon.ctr().list(&["content", "ls", "-q"])?;
    assert!(left.iter().all(|digest| digest != config), "{left:?}");
    Ok(())
}

/// As of an image that was pulled.
#[test]
fn a_base_in_an_index_stays_as_well() -> Result {
    let daemon = Daemon::start()?;
    Index::default()
        .with(architecture(), mine("mine").label("base").archive(MINE)?)?
        .import(daemon.ctr(), MINE, true)?;
    let below = layers(&daemon.ctr().manifest(MINE)?);
    let container = changed(&daemon)?;
    let other = Container::run(&daemon, MINE, &["sleep", "2000"])?;
    commit_to_base(&other, &below)?;
    commit_to_base(&container, &below)?;
    let config = daemon.ctr().config(MINE)?;
    assert_eq!(config["config"]["Labels"]["from"], "base");
    Ok(())
}

fn assert_shows(daemon: &Daemon, wanted: &str, unwanted: &str) -> Result {
    let copy = Container::run(daemon, MINE, &["sleep", "1000"])?;
    let seen = copy.shell("cat /srv/plain; ls /srv")?;
    assert!(seen.contains(wanted) && !seen.contains(unwanted), "{seen}");
    copy.remove()
}

#[test]
fn a_container_and_one_of_its_checkpoint_can_be_committed_in_any_order() -> Result {
    for is_checkpoint_first in [true, false] {
        let daemon = Daemon::start()?;
        mine("mine").import(&daemon, MINE)?;
        let below = layers(&daemon.ctr().manifest(MINE)?);
        let container = changed(&daemon)?;
        commit_to_base(&container, &below)?;
        let checkpoint = layers(&daemon.ctr().manifest(MINE)?);
        let second = Container::run(&daemon, MINE, &["sleep", "2000"])?;
        second.shell("echo second >/srv/second")?;
        for round in 0..4 {
            if (round % 2 == 0) == is_checkpoint_first {
                commit_to_base(&second, &checkpoint)?;
            } else {
                container.shell("date >>/srv/dates")?;
                commit_to_base(&container, &below)?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_container_can_be_committed_though_one_of_another_image_took_the_name_of_its_own() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    mine("another").import(&daemon, IMAGE)?;
    let below = layers(&daemon.ctr().manifest(IMAGE)?);
    let container = changed(&daemon)?;
    let other = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for reference in [IMAGE, MINE] {
        freezeframe
            .commit(&container, reference, &[])?
            .succeeded()?;
        daemon.ctr().collect_garbage()?;
    }
    commit_to_base(&other, &below)?;
    Ok(())
}

/// Of an image with more than that, nobody could start a container any more.
#[test]
fn an_image_has_no_more_layers_than_can_be_mounted() -> Result {
    const MOST: usize = 500;
    let daemon = Daemon::start()?;
    let mut tall = mine("mine");
    for number in 3..MOST - 1 {
        tall = tall.layer(vec![Entry::file("srv/number", number.to_string())]);
    }
    tall.import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    assert_eq!(layers(&daemon.ctr().manifest(IMAGE)?).len(), MOST);
    let last = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&last)?;
    let commit = freezeframe.commit(&last, IMAGE, &[])?.failed()?;
    let said = commit.outcome.error_text();
    for part in ["would have 501 layers", "export"] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    before.assert_unchanged(&Leftovers::now(&last)?);
    assert_eq!(commit.report["frozen_ms"], Value::Null);
    Ok(())
}
