//! Every image is of one moment, however busy the container, and every commit succeeds.
//!
//! Writers keep a law across their files at every instant (tests/probe/src/law): a copy
//! made while they run breaks it. Logs grow and small files come and go, which makes
//! the stock way fail.

use crate::FREEZEFRAME;
use harness::{BASE, Container, Daemon, FileSystem, Result, View, check_law, wait_until};
use std::fs;
use std::path::Path;
use std::time::Duration;

#[test]
fn every_image_keeps_the_law_of_writers_that_never_stop() -> Result {
    every_image_keeps_the_law_on(FileSystem::Ext4, 5)
}

#[test]
fn every_image_keeps_the_law_on_xfs() -> Result {
    every_image_keeps_the_law_on(FileSystem::Xfs, 5)
}

#[test]
fn every_image_keeps_the_law_on_btrfs() -> Result {
    every_image_keeps_the_law_on(FileSystem::Btrfs, 3)
}

#[test]
fn every_image_keeps_the_law_on_tmpfs() -> Result {
    every_image_keeps_the_law_on(FileSystem::Tmpfs, 3)
}

fn every_image_keeps_the_law_on(file_system: FileSystem, rounds: u32) -> Result {
    let daemon = Daemon::start_on(file_system)?;
    let container = Container::with_law(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut lines = 0;
    for round in 0..rounds {
        let reference = format!("docker.io/library/law:{round}");
        let commit = freezeframe.commit(&container, &reference, &[])?;
        assert_eq!(commit.succeeded()?.report["strategy"], "direct");
        let view = View::snapshot(&daemon, &reference)?;
        check_law(&daemon, &view.path().join("law"))?;
        let before = std::mem::replace(&mut lines, view.read("/law/logs/0.log")?.len());
        assert!(before < lines, "the writers stand still at {lines} bytes");
    }
    Ok(())
}

#[test]
fn the_layer_keeps_the_law_as_the_snapshot_does() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    let reference = "docker.io/library/law:latest";
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe
        .commit(&container, reference, &[])?
        .succeeded()?;
    let unpacked = View::unpacked(&daemon, reference)?;
    check_law(&daemon, &unpacked.path().join("law"))?;
    let snapshot = View::snapshot(&daemon, reference)?;
    let tree = snapshot.tree()?;
    tree.assert_same(&unpacked.tree()?, "the snapshot and the layers");
    Ok(())
}

#[test]
fn without_a_pause_each_log_is_a_beginning_of_what_was_written() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let reference = "docker.io/library/law:unpaused";
    let commit = freezeframe.commit(&container, reference, &["--pause=false"])?;
    let commit = commit.succeeded()?;
    assert!(commit.frozen_ms() == 0.0, "{:#}", commit.report);
    let image = View::snapshot(&daemon, reference)?;
    let now = container.root()?;
    for index in 0..9 {
        assert_is_beginning(image.path(), &now, &format!("law/logs/{index}.log"))?;
    }
    Ok(())
}

/// A log only grows: what an image has of it is what it now begins with.
fn assert_is_beginning(image: &Path, now: &Path, log: &str) -> Result {
    let (taken, written) = (fs::read(image.join(log))?, fs::read(now.join(log))?);
    assert!(!taken.is_empty(), "{log} is empty");
    assert!(
        written.starts_with(&taken),
        "{log}: {} bytes that were never there",
        taken.len()
    );
    Ok(())
}

#[test]
fn ten_commits_of_a_container_that_the_stock_way_cannot_commit_succeed() -> Result {
    commits_of_a_busy_container_succeed(10)
}

#[test]
#[ignore = "half a minute: tests/long runs it"]
fn fifty_commits_of_a_container_that_the_stock_way_cannot_commit_succeed() -> Result {
    commits_of_a_busy_container_succeed(50)
}

fn commits_of_a_busy_container_succeed(count: u32) -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, BASE, &["probe", "append-logs", "/logs", "9"])?;
    container.wait_for("/logs/8.log")?;
    assert_stock_fails(&container)?;
    container.spawn(&["probe", "churn", "/churn", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for round in 0..count {
        let commit = freezeframe.commit(&container, "busy", &[])?.succeeded()?;
        assert_eq!(commit.report["strategy"], "direct", "commit {round}");
    }
    Ok(())
}

fn assert_stock_fails(container: &Container) -> Result {
    let nerdctl = container.daemon().nerdctl()?;
    let words = ["commit", "--pause=false", &container.name, "grown"];
    wait_until("stock failing", Duration::from_secs(10), || {
        let error = nerdctl.outcome(&words)?.error_text();
        Ok(error.contains("archive/tar: write too long").then_some(()))
    })
}
