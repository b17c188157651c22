//! Containers that divide their cgroup, as a systemd inside does: the first process and
//! others are in cgroups below the container's own. All of them are frozen together.
//!
//! In the hierarchy that the machine freezes with, and in a unified one.

use super::{IMAGE, commit};
use crate::FREEZEFRAME;
use crate::cgroup2::unified_daemon;
use harness::{BASE, Container, Daemon, Freezer, Heartbeat, Result, View, check_law, wait_until};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const COMMITS: u32 = 3;

/// A container of three processes: the first keeps the law, another is the heartbeat.
fn three_processes(daemon: &Daemon) -> Result<(Container<'_>, Heartbeat)> {
    let container = Container::with_law(daemon)?;
    container.spawn(&["sleep", "1000"])?;
    let heartbeat = container.heartbeat()?;
    Ok((container, heartbeat))
}

fn processes(cgroup: &Path) -> Result<Vec<String>> {
    let listed = fs::read_to_string(cgroup.join("cgroup.procs"))?;
    Ok(listed.lines().map(str::to_owned).collect())
}

/// Moves each process of `cgroup` to one of `names` below it.
fn divide(cgroup: &Path, names: [&str; 3]) -> Result<[PathBuf; 3]> {
    let below = names.map(|name| cgroup.join(name));
    let processes = processes(cgroup)?;
    assert_eq!(processes.len(), below.len(), "{processes:?}");
    for (process, folder) in processes.iter().zip(&below) {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("cgroup.procs"), process)?;
    }
    assert_eq!(self::processes(cgroup)?, [""; 0]);
    Ok(below)
}

/// Every commit freezes all that `whole` freezes, and thaws it.
fn images_are_of_one_moment(
    container: &Container,
    whole: &Freezer,
    heartbeat: &Heartbeat,
) -> Result {
    let daemon = container.daemon();
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for _ in 0..COMMITS {
        let name = &container.name;
        let commit = freezeframe.start_commit_of_until_frozen(name, whole, IMAGE)?;
        let commit = commit.finish()?.succeeded()?;
        assert_eq!(commit.report["strategy"], "direct", "{:#}", commit.report);
        check_law(daemon, &View::snapshot(daemon, IMAGE)?.path().join("law"))?;
    }
    assert!(!whole.is_frozen() && !container.freezer()?.is_frozen());
    assert_eq!(container.status()?.as_deref(), Some("running"));
    let beats = heartbeat.beats()?;
    wait_until("more beats", Duration::from_secs(5), || {
        Ok((heartbeat.beats()? > beats).then_some(()))
    })
}

fn a_divided_container_is_committed(daemon: &Daemon, names: [&str; 3]) -> Result {
    let (container, heartbeat) = three_processes(daemon)?;
    let whole = container.freezer()?;
    let parts = divide(whole.folder(), names)?;
    assert!(parts.contains(&container.freezer()?.folder().to_owned()));
    images_are_of_one_moment(&container, &whole, &heartbeat)?;
    // containerd means the same cgroup as we do.
    container.pause()?;
    assert!(whole.is_frozen());
    assert!(commit(&container)?.frozen_ms() == 0.0);
    assert!(whole.is_frozen());
    container.unpause()
}

const SYSTEMD: [&str; 3] = ["init.scope", "system.slice/a.service", "user.slice/b/c"];

#[test]
fn a_container_with_cgroups_of_its_own_is_of_one_moment() -> Result {
    a_divided_container_is_committed(&Daemon::start()?, SYSTEMD)
}

#[test]
fn a_container_with_cgroups_of_its_own_is_of_one_moment_in_a_unified_hierarchy() -> Result {
    let Some(daemon) = unified_daemon()? else {
        return Ok(());
    };
    a_divided_container_is_committed(&daemon, SYSTEMD)
}

/// Whoever may make cgroups may call them what he likes.
#[test]
fn a_cgroup_inside_with_the_containers_own_name_is_not_taken_for_it() -> Result {
    let daemon = Daemon::start()?;
    let (container, heartbeat) = three_processes(&daemon)?;
    let scope = format!("nerdctl-{}.scope", container.id);
    let names = [&container.id, &scope, "other"];
    let whole = container.freezer()?;
    divide(whole.folder(), names)?;
    images_are_of_one_moment(&container, &whole, &heartbeat)
}

#[test]
fn a_privileged_container_that_moves_itself_is_of_one_moment() -> Result {
    let v1 = fs::read_to_string("/proc/self/cgroup")?.contains(":freezer:");
    let (kind, key) = if v1 { FREEZER } else { UNIFIED };
    moves_itself(&Daemon::start()?, kind, key)
}

#[test]
fn a_privileged_container_that_moves_itself_is_of_one_moment_in_a_unified_hierarchy() -> Result {
    let Some(daemon) = unified_daemon()? else {
        return Ok(());
    };
    let (kind, key) = UNIFIED;
    moves_itself(&daemon, kind, key)
}

/// What mounts a hierarchy, and where `/proc/self/cgroup` tells of it.
const FREEZER: (&str, &str) = ("cgroup -o freezer", ".*:freezer:");
const UNIFIED: (&str, &str) = ("cgroup2", "^0::");

fn moves_itself(daemon: &Daemon, kind: &str, key: &str) -> Result {
    let script = format!(
        "mount -t {kind} none /tmp
         cd /tmp/$(sed -n 's/{key}//p' /proc/self/cgroup)
         mkdir init.scope
         echo $$ >init.scope/cgroup.procs
         cd /
         exec probe write-law /law"
    );
    let words = ["sh", "-ec", &script];
    let container = Container::run_with(daemon, BASE, &["--privileged"], &words)?;
    container.wait_for("/law/ready")?;
    let part = container.freezer()?;
    assert!(part.folder().ends_with("init.scope"));
    // What containerd starts inside is in the container's own cgroup.
    let heartbeat = container.heartbeat()?;
    let whole = part.parent();
    assert_eq!(processes(whole.folder())?.len(), 1);
    images_are_of_one_moment(&container, &whole, &heartbeat)
}
