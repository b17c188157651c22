//! Several commits at once, of one container and of many: each succeeds, the pause of one and
//! the freeze of the other do not undo each other, and nothing is left.

use crate::FREEZEFRAME;
use harness::{
    BASE, Committing, Container, Daemon, Freezeframe, Leftovers, Result, Signal, View, check_law,
};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

const IMAGE: &str = "docker.io/library/at-once:latest";

/// A container with writers, and what there was before its commits.
struct Scene<'d> {
    container: Container<'d>,
    freezeframe: Freezeframe<'d>,
    before: Leftovers,
}

impl<'d> Scene<'d> {
    fn new(daemon: &'d Daemon) -> Result<Self> {
        let container = Container::with_law(daemon)?;
        daemon.ctr().collect_garbage()?;
        Ok(Self {
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    fn start(&self, reference: &str, flags: &[&str]) -> Result<Committing> {
        self.freezeframe
            .start_commit(&self.container, reference, flags)
    }

    fn expect_lawful(&self, reference: &str) -> Result {
        let daemon = self.container.daemon();
        let image = View::snapshot(daemon, reference)?;
        check_law(daemon, &image.path().join("law"))
    }

    /// Nothing but the images, that is.
    fn expect_nothing_left_but(&self, references: &[String]) -> Result {
        let ctr = self.container.daemon().ctr();
        for reference in references {
            ctr.run(&["images", "rm", reference])?;
        }
        ctr.collect_garbage()?;
        let after = Leftovers::now(&self.container)?;
        self.before.assert_unchanged(&after);
        Ok(())
    }
}

#[test]
fn two_commits_to_one_name_at_once_succeed() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon)?;
    for _ in 0..3 {
        let commits = [scene.start(IMAGE, &[])?, scene.start(IMAGE, &[])?];
        let digests = commits.map(|commit| Ok(commit.finish()?.succeeded()?.outcome.text()));
        let digests: Vec<String> = digests.into_iter().collect::<Result<_>>()?;
        let image = &daemon.ctr().manifest(IMAGE)?["config"]["digest"];
        assert!(digests.iter().any(|digest| image == digest), "{image}");
        scene.expect_lawful(IMAGE)?;
    }
    scene.expect_nothing_left_but(&[IMAGE.to_owned()])
}

/// nerdctl has no lock for it.
#[test]
fn two_commits_of_a_container_that_nerdctl_does_not_know_take_turns() -> Result {
    let daemon = Daemon::start()?;
    let id = run_many(&daemon, 1)?.concat();
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let start_until = |stage| -> Result<Committing> {
        let mut committing = freezeframe.start_commit_of(&id, IMAGE, &["--debug"])?;
        committing.wait_for_stage(stage)?;
        Ok(committing)
    };
    let first = start_until("prepare")?;
    first.stop()?;
    let mut second = start_until("lock")?;
    sleep(Duration::from_millis(500));
    assert!(second.child.try_wait()?.is_none(), "it has not waited");
    // Or it would have a lease of its own.
    let leases = daemon.ctr().list(&["leases", "ls"])?;
    assert_eq!(leases.len(), 1, "{leases:?}");
    first.signal(Signal::CONT)?;
    for commit in [first, second] {
        commit.finish()?.succeeded()?;
    }
    Ok(())
}

/// The one that does not pause is not of one moment, and must not spoil the other.
#[test]
fn a_commit_without_a_pause_beside_one_with_it_changes_nothing_for_that() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon)?;
    let names = ["paused", "unpaused"].map(|name| format!("docker.io/library/{name}:latest"));
    for _ in 0..3 {
        let paused = scene.start(&names[0], &[])?;
        let unpaused = scene.start(&names[1], &["--pause=false"])?;
        paused.finish()?.succeeded()?;
        let unpaused = unpaused.finish()?.succeeded()?;
        assert!(unpaused.frozen_ms() == 0.0, "{:#}", unpaused.report);
        scene.expect_lawful(&names[0])?;
    }
    scene.expect_nothing_left_but(&names)
}

#[test]
fn the_stock_commit_beside_ours_keeps_its_pause_and_we_keep_our_freeze() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon)?;
    let names = ["ours", "stock"].map(|name| format!("docker.io/library/{name}:latest"));
    for round in 0..4 {
        let mut stock = daemon.nerdctl()?.command();
        stock.args(["commit", &scene.container.name, &names[1]]);
        stock.stdout(Stdio::null());
        // Either may be first.
        let early = (round % 2 == 0).then(|| stock.spawn()).transpose()?;
        let ours = scene.start(&names[0], &[])?;
        let mut stock = early.map_or_else(|| stock.spawn(), Ok)?;
        ours.finish()?.succeeded()?;
        assert!(stock.wait()?.success(), "stock in round {round}");
        assert_eq!(scene.container.status()?.as_deref(), Some("running"));
        assert!(!scene.container.freezer()?.is_frozen());
        for name in &names {
            scene.expect_lawful(name)?;
        }
    }
    scene.expect_nothing_left_but(&names)
}

/// What they make is the same, so that one finds what the other has made.
#[test]
fn a_commit_that_ends_early_takes_nothing_from_one_beside_it() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon)?;
    scene.container.pause()?;
    let before = Leftovers::now(&scene.container)?;
    let names = ["ended", "whole"].map(|name| format!("docker.io/library/{name}:latest"));
    for stage in ["finish", "layer", "sync", "image", "release"] {
        for signal in [Signal::INT, Signal::KILL] {
            let mut ended = scene.start(&names[0], &["--debug"])?;
            let whole = scene.start(&names[1], &[])?;
            ended.wait_for_stage(stage)?;
            ended.signal(signal)?;
            ended.finish()?;
            whole.finish()?.succeeded()?;
            scene.expect_lawful(&names[1])?;
        }
    }
    scene.start(&names[0], &[])?.finish()?.succeeded()?;
    for name in &names {
        daemon.ctr().run(&["images", "rm", "--sync", name])?;
    }
    before.assert_unchanged(&Leftovers::now(&scene.container)?);
    Ok(())
}

#[test]
fn twenty_containers_are_committed_at_once() -> Result {
    containers_are_committed_at_once(20)
}

#[test]
#[ignore = "a minute: tests/long"]
fn a_hundred_containers_are_committed_at_once() -> Result {
    containers_are_committed_at_once(100)
}

fn containers_are_committed_at_once(count: usize) -> Result {
    let daemon = Daemon::start()?;
    let witness = daemon.run(&["sleep", "1000"])?;
    let ids = run_many(&daemon, count)?;
    let tasks = tasks(&daemon)?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&witness)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let names: Vec<_> = ids.iter().map(|id| image_of(id)).collect();
    let start = |(id, name): (&String, &String)| freezeframe.start_commit_of(id, name, &[]);
    let commits = ids.iter().zip(&names).map(start);
    for commit in commits.collect::<Result<Vec<_>>>()? {
        let commit = commit.finish()?.succeeded()?;
        assert!(commit.frozen_ms() > 0.0, "{:#}", commit.report);
    }
    assert_eq!(self::tasks(&daemon)?, tasks);
    for (id, name) in ids.iter().zip(&names).step_by(10) {
        assert_eq!(View::snapshot(&daemon, name)?.read("/which")?.trim(), id);
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    daemon
        .ctr()
        .run(&[&["images", "rm"], &names[..]].concat())?;
    daemon.ctr().collect_garbage()?;
    before.assert_unchanged(&Leftovers::now(&witness)?);
    Ok(())
}

/// Every task with its process and its state.
fn tasks(daemon: &Daemon) -> Result<Vec<String>> {
    let mut tasks = daemon.ctr().list(&["tasks", "ls"])?;
    tasks.sort();
    Ok(tasks)
}

fn image_of(id: &str) -> String {
    format!("docker.io/library/{id}:latest").to_lowercase()
}

/// Containers that say in a file which they are, and keep changing another.
fn run_many(daemon: &Daemon, count: usize) -> Result<Vec<String>> {
    let script = "echo $0 >/which; while :; do date >>/dates; sleep 0.1; done";
    // Of one length, as none may be the beginning of another.
    let ids = (0..count).map(|index| format!("{}-{index:03}", daemon.ctr().namespace));
    ids.map(|id| {
        let call = ["run", "--detach", "--null-io", BASE, &id];
        let words = ["sh", "-c", script, &id];
        daemon.ctr().run(&[&call[..], &words].concat())?;
        Ok(id)
    })
    .collect()
}
