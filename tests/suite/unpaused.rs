//! `--pause=false`: nothing is frozen, nothing that the container does fails the commit, and
//! every file is something that it was.

use crate::FREEZEFRAME;
use harness::{
    BASE, Commit, Container, Daemon, Freezer, Leftovers, Result, View, check_law, wait_until,
};
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const IMAGE: &str = "docker.io/library/unpaused:latest";

/// Names that are a file, a directory with files, a link, a FIFO and nothing, in turn.
const REPLACE: &str = "mkdir -p /x; while :; do for n in a b c; do
    echo file >/x/$n; rm /x/$n; mkdir /x/$n; touch /x/$n/1 /x/$n/2; mv /x/$n /x/moved; rm -r /x/moved
    ln -s /etc/passwd /x/$n; rm /x/$n; mkfifo /x/$n; rm /x/$n; usleep 500; done; done";
/// A file that grows and shrinks by much more than a page.
const RESIZE: &str = "while :; do head -c 3000000 /dev/zero >/sized; usleep 5000; : >/sized; done";

/// A commit without a pause, through all of which the freezer is looked at.
fn commit_unfrozen(container: &Container) -> Result<Commit> {
    let freezer = container.freezer()?;
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let was_frozen = scope.spawn(|| was_frozen(&freezer, &has_ended));
        let commit = commit(container);
        has_ended.store(true, Ordering::Relaxed);
        assert!(!was_frozen.join().expect("no panic"), "it was frozen");
        let commit = commit?;
        assert!(commit.frozen_ms() == 0.0, "{:#}", commit.report);
        Ok(commit)
    })
}

fn was_frozen(freezer: &Freezer, has_ended: &AtomicBool) -> bool {
    let mut seen = false;
    while !has_ended.load(Ordering::Relaxed) {
        seen |= freezer.is_frozen();
        thread::sleep(Duration::from_micros(200));
    }
    seen
}

fn commit(container: &Container) -> Result<Commit> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &["--pause=false"])?;
    let commit = commit.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    Ok(commit)
}

#[test]
fn files_that_grow_shrink_vanish_and_are_replaced_never_fail_a_commit_without_a_pause() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, BASE, &["probe", "append-logs", "/logs", "9"])?;
    for words in [
        &["probe", "churn", "/churn", "500"][..],
        &["probe", "relink", "/links", "50"],
        &["sh", "-c", REPLACE],
        &["sh", "-c", RESIZE],
    ] {
        container.spawn(words)?;
    }
    container.wait_for("/sized")?;
    container.wait_for("/links/ready")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    for _ in 0..3 {
        commit_unfrozen(&container)?;
    }
    let snapshot = View::snapshot(&daemon, IMAGE)?.tree()?;
    let unpacked = View::unpacked(&daemon, IMAGE)?.tree()?;
    snapshot.assert_same(&unpacked, "the snapshot and the layer");
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}

#[test]
fn a_file_that_never_holds_still_is_cut_to_what_was_there() -> Result {
    let daemon = Daemon::start()?;
    let count = "i=0; while :; do i=$((i + 1)); echo $i; done >/count";
    let container = Container::run(&daemon, BASE, &["sh", "-c", count])?;
    container.wait_for("/count")?;
    let mut last = 0;
    for _ in 0..4 {
        wait_for_growth(&container, last)?;
        commit_unfrozen(&container)?;
        let taken = View::snapshot(&daemon, IMAGE)?.read("/count")?;
        let written = fs::read_to_string(container.root()?.join("count"))?;
        assert!(written.starts_with(&taken), "{} bytes", taken.len());
        assert!(taken.len() > last && taken.len() < written.len());
        last = taken.len();
    }
    Ok(())
}

/// Until `/count` is longer than `length`.
fn wait_for_growth(container: &Container, length: usize) -> Result {
    let path = container.root()?.join("count");
    wait_until("growth", Duration::from_secs(10), || {
        Ok((fs::metadata(&path)?.len() > length as u64).then_some(()))
    })
}

/// There is nobody whom a pause would stop, so its image is of one moment all the same.
#[test]
fn a_paused_or_stopped_container_is_of_one_moment_without_a_pause_of_ours() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    for (stand_still, state) in [
        (Container::pause as fn(&_) -> _, "paused"),
        (Container::stop, "stopped"),
    ] {
        stand_still(&container)?;
        commit(&container)?;
        assert_eq!(container.status()?.as_deref(), Some(state));
        check_law(&daemon, &View::snapshot(&daemon, IMAGE)?.path().join("law"))?;
        if state == "paused" {
            container.unpause()?;
        }
    }
    Ok(())
}

#[test]
fn a_container_that_changes_its_state_meanwhile_is_committed_without_a_pause() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::with_law(&daemon)?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for stage in ["scan", "freeze", "layer"] {
        for act in [
            Container::pause as fn(&_) -> _,
            Container::unpause,
            Container::kill,
            Container::start,
            Container::restart,
        ] {
            let flags = ["--pause=false"];
            let commit = freezeframe
                .commit_while(&container, IMAGE, &flags, stage, || act(&container))?
                .succeeded()?;
            assert!(commit.frozen_ms() == 0.0, "{:#}", commit.report);
            let log = View::snapshot(&daemon, IMAGE)?.read("/law/logs/0.log")?;
            assert!(!log.is_empty(), "{stage}");
        }
    }
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}
