//! Containers that do not wish us well: the commit ends in bounded time, reads nothing but the
//! container's own, and where there can be no image it says why and leaves nothing.

use crate::FREEZEFRAME;
use harness::{
    Commit, Committing, Container, Daemon, Heartbeat, Leftovers, Result, View, wait_until,
};
use std::fs;
use std::path::Path;
use std::time::Duration;

const IMAGE: &str = "docker.io/library/hostile:latest";
/// Only what hangs reaches it.
const BOUND: Duration = Duration::from_secs(120);
/// What is named here is elsewhere on the host, or has no end.
const LURES: &str = "mkdir -p /swap/directory; cd /swap
    for name in one two directory/three; do echo inside >$name; done
    mkfifo fifo; mknod zero c 1 5; mknod null c 1 3
    ln -s /etc/passwd link; ln -s / root; ln -s /proc proc; ln -s ../../../../../etc up";

#[test]
fn what_is_put_in_the_place_of_files_is_neither_read_nor_waited_for() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell(LURES)?;
    container.spawn(&["probe", "swap", "/swap"])?;
    for flags in [&[][..], &["--pause=false"]] {
        for _ in 0..4 {
            finish(start(&container, flags)?)?.succeeded()?;
            let view = View::snapshot(&daemon, IMAGE)?;
            let files = expect_own_files(&view.path().join("swap"))?;
            assert!(
                files == 3 || flags.contains(&"--pause=false"),
                "{files} files"
            );
        }
    }
    Ok(())
}

/// Every file is one of those that were made inside; returns how many there are.
fn expect_own_files(folder: &Path) -> Result<usize> {
    let mut files = 0;
    for entry in fs::read_dir(folder)? {
        let (path, kind) = (entry.as_ref().unwrap().path(), entry?.file_type()?);
        if kind.is_dir() {
            files += expect_own_files(&path)?;
        } else if kind.is_file() {
            assert_eq!(fs::read(&path)?, b"inside\n", "{}", path.display());
            files += 1;
        }
    }
    Ok(files)
}

#[test]
fn a_tree_deeper_than_any_path_is_refused_as_stock_refuses_it() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::of(daemon.run(&["sleep", "1000"])?)?;
    scene
        .container
        .output(&["probe", "deep", "/deep", "10000"])?;
    for flags in [&[][..], &["--pause=false"]] {
        scene.expect_refusal(
            flags,
            "a path of more than 4,095 bytes, which no image can carry",
        )?;
    }
    let words = ["commit", &scene.container.name, IMAGE];
    daemon.nerdctl()?.outcome(&words)?.failed()?;
    Ok(())
}

/// One that the container can open, and containerd cannot where it keeps snapshots.
#[test]
fn a_path_that_is_too_long_for_containerd_is_refused_before_anything_is_copied() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::of(daemon.run(&["sleep", "1000"])?)?;
    let path = ["d"; 16].map(|name| name.repeat(250)).join("/");
    scene.container.shell(&format!("mkdir -p /{path}"))?;
    scene.expect_refusal(&[], "the container has a path of 4016 bytes")
}

#[test]
fn files_of_huge_apparent_size_are_refused_where_nobody_could_unpack_them() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::of(daemon.run(&["sleep", "1000"])?)?;
    // Nearly as large as ext4 takes.
    scene
        .container
        .shell("echo data >/sparse; truncate -s 16000000000000 /sparse")?;
    scene.expect_refusal(&[], "(the largest is /sparse)")?;
    scene.container.shell("truncate -s 1000000000 /sparse")?;
    let commit = finish(start(&scene.container, &[])?)?.succeeded()?;
    let copied = commit.report["bytes_cloned"].as_u64();
    assert!(copied < Some(1 << 20), "{copied:?} bytes copied");
    let view = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(
        fs::metadata(view.path().join("sparse"))?.len(),
        1_000_000_000
    );
    Ok(())
}

/// In kilobytes: a few hundred bytes for each name, and what every commit takes.
const MOST_MEMORY: u64 = 1 << 20;

#[test]
#[ignore = "takes minutes: tests/long"]
fn a_million_names_in_one_directory_take_bounded_memory() -> Result {
    let options = harness::Options {
        disk_mib: 48 << 10,
        ..Default::default()
    };
    let daemon = options.start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.output(&["probe", "names", "/names", "1000000"])?;
    let mut committing = start(&container, &[])?;
    let status = format!("/proc/{}/status", committing.child.id());
    let mut peak = 0;
    wait_until("the commit's end", BOUND * 5, || {
        peak = peak.max(peak_memory(
            &fs::read_to_string(&status).unwrap_or_default(),
        ));
        Ok(committing.child.try_wait()?.map(drop))
    })?;
    committing.finish()?.succeeded()?;
    assert!((1..MOST_MEMORY).contains(&peak), "{peak} kB");
    let view = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(fs::read_dir(view.path().join("names"))?.count(), 1_000_000);
    Ok(())
}

/// `proc_pid_status(5)`, in kilobytes.
fn peak_memory(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn start(container: &Container, flags: &[&str]) -> Result<Committing> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    freezeframe.start_commit(container, IMAGE, flags)
}

fn finish(mut committing: Committing) -> Result<Commit> {
    let ended = wait_until("the commit's end", BOUND, || {
        Ok(committing.child.try_wait()?.map(drop))
    });
    if ended.is_err() {
        committing.child.kill()?;
    }
    ended?;
    committing.finish()
}

/// A container that must run on, and a daemon that must have nothing more than before.
struct Scene<'d> {
    container: Container<'d>,
    heartbeat: Heartbeat,
    before: Leftovers,
}

impl<'d> Scene<'d> {
    fn of(container: Container<'d>) -> Result<Self> {
        container.daemon().ctr().collect_garbage()?;
        Ok(Self {
            heartbeat: container.heartbeat()?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    fn expect_refusal(&self, flags: &[&str], message: &str) -> Result {
        let commit = finish(start(&self.container, flags)?)?.failed()?;
        let said = commit.outcome.error_text();
        assert_eq!(commit.outcome.status.code(), Some(1), "{said}");
        assert!(
            said.contains(message) && said.lines().count() == 1,
            "{said}"
        );
        self.container.daemon().ctr().collect_garbage()?;
        self.before
            .assert_unchanged(&Leftovers::now(&self.container)?);
        let beats = self.heartbeat.beats()?;
        wait_until("the container running on", Duration::from_secs(20), || {
            Ok((self.heartbeat.beats()? > beats + 1).then_some(()))
        })
    }
}
