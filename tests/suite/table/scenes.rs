//! The cases of the table, each with a container that is in it.

use crate::FREEZEFRAME;
use anyhow::Context;
use harness::{BASE, Container, Daemon, FileSystem, Options, Pods, Result, Signal, wait_until};
use serde_json::Value;
use std::fs;
use std::time::Duration;

const REFERENCE: &str = "docker.io/library/tabled:latest";
/// How much a container holds that does not change, in bytes.
const OLD: u64 = 20 << 20;

/// How a commit went, with the reason where it was delegated.
#[derive(Debug)]
pub enum Verdict {
    Direct,
    Delegated(String),
}

pub struct Case {
    pub container: &'static str,
    pub state: &'static str,
    pub snapshotter: &'static str,
    pub see: fn() -> Result<Verdict>,
}

const fn case(
    container: &'static str,
    state: &'static str,
    snapshotter: &'static str,
    see: fn() -> Result<Verdict>,
) -> Case {
    Case {
        container,
        state,
        snapshotter,
        see,
    }
}

// A method alone is for one lifetime only.
#[allow(clippy::redundant_closure_for_method_calls)]
pub const CASES: &[Case] = &[
    case("nerdctl run", "running", "overlayfs on ext4", || {
        running(FileSystem::Ext4, &[], &[])
    }),
    case("nerdctl run", "running", "overlayfs on xfs", || {
        running(FileSystem::Xfs, &[], &[])
    }),
    case("nerdctl run", "running", "overlayfs on btrfs", || {
        running(FileSystem::Btrfs, &[], &[])
    }),
    case("nerdctl run, --pause=false", "running", "overlayfs", || {
        running(FileSystem::Ext4, &[], &["--pause=false"])
    }),
    case("nerdctl run --read-only", "running", "overlayfs", || {
        running(FileSystem::Ext4, &["--read-only"], &[])
    }),
    case("ctr run", "running", "overlayfs", || {
        made_by_ctr(&["run", "--detach", "--null-io"], &[])
    }),
    case("pod of Kubernetes", "running", "overlayfs", || {
        of_a_pod(true)
    }),
    case("sandbox of a pod", "running", "overlayfs", || {
        of_a_pod(false)
    }),
    case("nerdctl run --privileged", "running", "overlayfs", || {
        running(FileSystem::Ext4, &["--privileged"], &[])
    }),
    case("host namespaces", "running", "overlayfs", || {
        running(FileSystem::Ext4, &["--pid", "host", "--net", "host"], &[])
    }),
    case("systemd inside", "running", "overlayfs", || changed(divide)),
    case("its image renamed or gone", "running", "overlayfs", || {
        changed(without_its_name)
    }),
    case("nerdctl run", "restarting", "overlayfs", restarting),
    case("nerdctl run", "paused", "overlayfs", || {
        changed(|container| container.pause())
    }),
    case("nerdctl run", "frozen by another", "overlayfs", || {
        changed(|container| container.freezer()?.set_frozen(true))
    }),
    case("nerdctl run", "stopped", "overlayfs", || {
        changed(|container| container.stop())
    }),
    case("nerdctl run", "ended by itself", "overlayfs", || {
        changed(end_of_itself)
    }),
    case("ctr containers create", "created", "overlayfs", || {
        made_by_ctr(&["containers", "create"], &[])
    }),
    case("nerdctl run", "running", "overlayfs on tmpfs", || {
        running(FileSystem::Tmpfs, &[], &[])
    }),
    case("nerdctl run", "running", "native", || {
        running(FileSystem::Ext4, &["--snapshotter", "native"], &[])
    }),
    case("nerdctl run", "running", "btrfs", || {
        running(FileSystem::Btrfs, &["--snapshotter", "btrfs"], &[])
    }),
    case("nerdctl run, --estargz", "running", "overlayfs", || {
        running(FileSystem::Ext4, &[], &["--estargz"])
    }),
    case("nerdctl run, --zstdchunked", "running", "overlayfs", || {
        running(FileSystem::Ext4, &[], &["--zstdchunked"])
    }),
    case("another runtime", "created", "overlayfs", || {
        made_by_ctr(
            &["containers", "create"],
            &["--runtime", "io.containerd.kata.v2"],
        )
    }),
    case("mapped user IDs", "running", "overlayfs", || {
        made_by_ctr(
            &["run", "--detach", "--null-io"],
            &["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"],
        )
    }),
    case("ctr run --rootfs", "created", "none", || {
        let create = ["containers", "create", "--rootfs"];
        made_by_ctr_from("/", &create, &[])
    }),
];

/// What the report says. Where the real nerdctl is a stand-in, or the container cannot run, a delegated commit may fail.
fn verdict(report: &Value) -> Verdict {
    match report["strategy"].as_str() {
        Some("direct") => {
            assert_eq!(report["result"], "ok", "{report:#}");
            Verdict::Direct
        }
        _ => Verdict::Delegated(report["reason"].as_str().unwrap_or_default().to_owned()),
    }
}

fn running(disk: FileSystem, run: &[&str], flags: &[&str]) -> Result<Verdict> {
    let daemon = Daemon::start_on(disk)?;
    let container = Container::run_with(&daemon, BASE, run, &["sleep", "1000"])?;
    if !run.contains(&"--read-only") {
        let script = format!("head -c {OLD} /dev/urandom >/old");
        container.output(&["sh", "-c", &script])?;
    }
    let commit = daemon.freezeframe(FREEZEFRAME)?;
    let commit = commit.commit(&container, REFERENCE, flags)?;
    assert_eq!(container.status()?.as_deref(), Some("running"));
    // Not every containerd's differ makes the zstd layer that zstd:chunked is made from.
    if daemon.nerdctl()?.is_real && !flags.contains(&"--zstdchunked") {
        assert_eq!(
            commit.report["result"],
            "ok",
            "{}",
            commit.outcome.describe()
        );
    }
    let verdict = verdict(&commit.report);
    if matches!(verdict, Verdict::Direct) {
        expect_read_while_frozen(disk, &commit.report);
    }
    Ok(verdict)
}

/// What does not change is read again where signatures tell too little, and nowhere else.
fn expect_read_while_frozen(disk: FileSystem, report: &Value) {
    let bytes = |field: &str| report[field].as_u64().unwrap_or_default();
    let read = bytes("bytes_copied_frozen") + bytes("bytes_compared_frozen");
    let is_all = read >= OLD;
    assert_eq!(is_all, disk == FileSystem::Tmpfs, "{report:#}");
    assert!(is_all || read < 1 << 20, "{report:#}");
}

fn changed(change: impl FnOnce(&Container) -> Result) -> Result<Verdict> {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    change(&container)?;
    let before = (
        container.status()?,
        container.freezer().is_ok_and(|one| one.is_frozen()),
    );
    let commit = daemon.freezeframe(FREEZEFRAME)?;
    let commit = commit.commit(&container, REFERENCE, &[])?;
    let after = (
        container.status()?,
        container.freezer().is_ok_and(|one| one.is_frozen()),
    );
    assert_eq!(before, after, "the state is left as it was");
    if after.1 {
        container.freezer()?.set_frozen(false)?;
    }
    Ok(verdict(&commit.report))
}

/// Its processes in cgroups below its own, as a systemd puts them.
fn divide(container: &Container) -> Result {
    let below = container.freezer()?.folder().join("init.scope");
    fs::create_dir(&below)?;
    Ok(fs::write(
        below.join("cgroup.procs"),
        container.pid()?.to_string(),
    )?)
}

/// Another name has what its image was.
fn without_its_name(container: &Container) -> Result {
    let ctr = container.daemon().ctr();
    ctr.run(&["images", "tag", BASE, "docker.io/library/other:latest"])?;
    ctr.run(&["images", "rm", "--sync", BASE])?;
    Ok(())
}

fn restarting() -> Result<Verdict> {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    std::thread::scope(|scope| {
        let restarts = scope
            .spawn(|| (0..4).try_for_each(|_| container.stop().and_then(|()| container.start())));
        let mut seen = None;
        while !restarts.is_finished() {
            let commit = freezeframe.commit(&container, REFERENCE, &[])?;
            seen = Some(verdict(&commit.report));
        }
        restarts.join().expect("no panic")?;
        seen.context("a commit in the time of four restarts")
    })
}

/// A container of a pod, or the one that holds the pod together.
fn of_a_pod(is_inner: bool) -> Result<Verdict> {
    let options = Options {
        cri: true,
        ..Options::default()
    };
    let daemon = options.start()?;
    let pods = Pods::of(&daemon)?;
    let pod = pods.start()?;
    let id = if is_inner {
        pod.run(BASE, &["sleep", "1000"])?
    } else {
        pod.id.clone()
    };
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let flags = ["--namespace", "k8s.io"];
    let commit = freezeframe.start_commit_of(&id, REFERENCE, &flags)?;
    Ok(verdict(&commit.finish()?.report))
}

fn end_of_itself(container: &Container) -> Result {
    let process = rustix::process::Pid::from_raw(i32::try_from(container.pid()?)?);
    let process = process.expect("a process has a number above 0");
    rustix::process::kill_process(process, Signal::KILL)?;
    wait_until("the end", Duration::from_secs(10), || {
        Ok((container.status()?.as_deref() != Some("running")).then_some(()))
    })
}

fn made_by_ctr(command: &[&str], flags: &[&str]) -> Result<Verdict> {
    made_by_ctr_from(BASE, command, flags)
}

fn made_by_ctr_from(root: &str, command: &[&str], flags: &[&str]) -> Result<Verdict> {
    let daemon = Daemon::start()?;
    // Unique on this machine, as runc's state is shared.
    let id = format!("{}-tabled", daemon.ctr().namespace);
    let words: &[&str] = &[root, &id, "sleep", "1000"];
    daemon.ctr().run(&[command, flags, words].concat())?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.start_commit_of(&id, REFERENCE, &[])?.finish()?;
    Ok(verdict(&commit.report))
}
