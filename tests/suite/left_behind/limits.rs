//! Where a thread or a process too few is to be had, or files may not become so large, a commit
//! says so, undoes what it has begun, and leaves nothing.

use crate::FREEZEFRAME;
use harness::{Daemon, Leftovers, Result, outcome, skipped, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const IMAGE: &str = "docker.io/library/limited:latest";
/// The kernel's admin-guide/cgroup-v1/pids.rst.
const CONTROLLER: &str = "/sys/fs/cgroup/pids";
const BOUND: Duration = Duration::from_secs(20);
/// More than a commit ever has.
const ENOUGH: usize = 40;

#[test]
fn a_commit_with_too_few_threads_says_so_and_leaves_nothing() -> Result {
    if !Path::new(CONTROLLER).exists() {
        skipped("there is no hierarchy of version 1 that limits processes");
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo something >/srv/new")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let limit = Limit::new(&daemon)?;
    // The real nerdctl would need more threads than we do.
    let freezeframe = daemon
        .freezeframe(FREEZEFRAME)?
        .with("FREEZEFRAME_NERDCTL", "");
    let join = format!(
        "echo $$ >{}/cgroup.procs && PATH=/nowhere exec \"$@\"",
        limit.cgroup.display()
    );
    for most in 1..=ENOUGH {
        limit.set(most)?;
        let mut command = freezeframe.command_behind(&["sh", "-c", &join, "sh"]);
        let commit = outcome(command.args(["commit", &container.id, IMAGE]))?;
        if commit.status.success() {
            assert!(most > 3, "{most} are enough");
            return Ok(());
        }
        let said = commit.error_text();
        assert_eq!(commit.status.code(), Some(1), "{most}: {said}");
        assert_eq!(said.lines().count(), 1, "{most}: {said}");
        before.assert_unchanged(&Leftovers::now(&container)?);
    }
    panic!("{ENOUGH} are too few");
}

/// The kernel would end it with SIGXFSZ (setrlimit(2)).
#[test]
fn a_commit_whose_files_may_not_become_so_large_says_so_and_leaves_nothing() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("head -c 8000000 /dev/urandom >/srv/large")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let limited = ["sh", "-c", "ulimit -f 2048 && exec \"$@\"", "sh"];
    let mut command = freezeframe.command_behind(&limited);
    let commit = outcome(command.args(["commit", &container.name, IMAGE]))?;
    let said = commit.error_text();
    assert_eq!(commit.status.code(), Some(1), "{said}");
    assert!(
        said.contains("copying /srv/large") && said.contains("File too large"),
        "{said}"
    );
    before.assert_unchanged(&Leftovers::now(&container)?);
    Ok(())
}

/// Go raises those of descriptors, and the daemon, which has no such limits, writes stock's files.
#[test]
fn limits_that_we_may_raise_are_no_hindrance() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("head -c 8000000 /dev/urandom >/srv/large")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let limited = [
        "sh",
        "-c",
        "ulimit -Sf 2048 && ulimit -Sn 12 && exec \"$@\"",
        "sh",
    ];
    let mut command = freezeframe.command_behind(&limited);
    outcome(command.args(["commit", &container.name, IMAGE]))?.succeeded()?;
    Ok(())
}

/// A cgroup that no more than so many threads may be in; removed when dropped.
struct Limit {
    cgroup: PathBuf,
}

impl Limit {
    fn new(daemon: &Daemon) -> Result<Self> {
        let cgroup = PathBuf::from(CONTROLLER).join(daemon.unique("freezeframe-test"));
        fs::create_dir(&cgroup)?;
        Ok(Self { cgroup })
    }

    fn set(&self, most: usize) -> Result {
        Ok(fs::write(self.cgroup.join("pids.max"), most.to_string())?)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let removed = wait_until("the cgroup's removal", BOUND, || {
            Ok(fs::remove_dir(&self.cgroup).ok())
        });
        if let Err(error) = removed {
            eprintln!("{error:#}");
        }
    }
}
