//! A commit that runs inside the container it is about, as far as cgroups go: it would freeze itself,
//! and for ever, so it says no; without a pause there is nothing that it could not do.

use super::IMAGE;
use crate::FREEZEFRAME;
use crate::cgroup2::unified_daemon;
use harness::{BASE, Container, Daemon, Leftovers, Outcome, Result, outcome, skipped};
use std::fs;
use std::path::Path;

const MOVE: &str = "echo $$ >\"$1\"; shift; exec \"$@\"";

fn is_refused_inside(daemon: &Daemon) -> Result {
    let container = daemon.run(&["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let freezer = container.freezer()?;
    let commit_in = |cgroup: &Path, flags: &[&str]| -> Result<Outcome> {
        let processes = cgroup.join("cgroup.procs").display().to_string();
        let mut command = freezeframe.command_behind(&["sh", "-ec", MOVE, "sh", &processes]);
        command.arg("commit").args(flags);
        outcome(command.args([&container.name, IMAGE]))
    };
    let below = freezer.folder().join("below");
    fs::create_dir(&below)?;
    for cgroup in [freezer.folder(), &below] {
        let refused = commit_in(cgroup, &[])?.failed()?;
        let said = refused.error_text();
        assert!(said.contains("runs inside the container"), "{said}");
        assert!(said.contains("--pause=false"), "{said}");
        assert!(!freezer.is_frozen());
        before.assert_unchanged(&Leftovers::now(&container)?);
        let delegated = commit_in(cgroup, &["--estargz"])?.failed()?;
        let said = delegated.error_text();
        assert!(said.contains("runs inside the container"), "{said}");
        commit_in(cgroup, &["--pause=false"])?.succeeded()?;
        daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
        before.assert_unchanged(&Leftovers::now(&container)?);
    }
    assert_eq!(container.output(&["echo", "alive"])?, "alive");
    Ok(())
}

#[test]
fn a_commit_from_within_the_container_is_refused_unless_it_needs_no_pause() -> Result {
    is_refused_inside(&Daemon::start()?)
}

#[test]
fn a_commit_from_within_is_refused_in_a_unified_hierarchy() -> Result {
    let Some(daemon) = unified_daemon()? else {
        return Ok(());
    };
    is_refused_inside(&daemon)
}

/// A cgroup namespace hides whose cgroup it is.
#[test]
fn a_commit_from_within_is_refused_whoever_pauses_and_whatever_it_sees() -> Result {
    const MOVE_ALL: &str = "for cgroup in $1; do echo $$ >$cgroup/cgroup.procs; done; shift; \
                            exec unshare --cgroup \"$@\"";
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let membership = fs::read_to_string(format!("/proc/{}/cgroup", container.pid()?))?;
    let cgroups = membership.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let hierarchy = controllers.trim_start_matches("name=");
        let cgroup = format!("/sys/fs/cgroup/{hierarchy}{path}");
        Path::new(&cgroup).exists().then_some(cgroup)
    });
    let cgroups = cgroups.collect::<Vec<_>>().join(" ");
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for flags in [&[][..], &["--estargz"]] {
        let mut command = freezeframe.command_behind(&["sh", "-ec", MOVE_ALL, "sh", &cgroups]);
        command.arg("commit").args(flags);
        let refused = outcome(command.args([&container.name, IMAGE]))?.failed()?;
        let said = refused.error_text();
        assert!(said.contains("runs inside the container"), "{said}");
        assert_eq!(container.status()?.as_deref(), Some("running"));
    }
    Ok(())
}

/// It has process numbers of its own there, by which nobody finds it among the container's.
#[test]
fn a_delegated_commit_by_a_program_of_the_container_is_refused() -> Result {
    let daemon = Daemon::start()?;
    let container = with_all_for_a_commit(&daemon, &[])?;
    let said = refusal_to_a_program_of(&container, "", "")?;
    assert!(said.contains("delegated to the real nerdctl"), "{said}");
    refusal_to_a_program_of(&container, "", "--estargz").map(drop)
}

/// One of its processes there has the number that the first one has outside, and passes for it.
#[test]
fn a_direct_commit_by_a_program_of_the_container_is_refused() -> Result {
    const LAST_NUMBER: &str = "/proc/sys/kernel/ns_last_pid";
    if !Path::new(LAST_NUMBER).exists() {
        skipped("the kernel lets nobody choose the number of a process");
        return Ok(());
    }
    let daemon = Daemon::start()?;
    let container = with_all_for_a_commit(&daemon, &["--privileged"])?;
    let number = container.pid()?;
    let namesake = format!(
        "echo {} >{LAST_NUMBER}; sleep 1000 & test $! = {number}",
        number - 1
    );
    let said = refusal_to_a_program_of(&container, &namesake, "")?;
    assert!(!said.contains("delegated"), "{said}");
    Ok(())
}

/// A container with our program and the libraries that it may need, with containerd's socket and disk.
fn with_all_for_a_commit<'d>(daemon: &'d Daemon, flags: &[&str]) -> Result<Container<'d>> {
    let disk = daemon.disk().display().to_string();
    let shared = ["/lib", "/lib64", FREEZEFRAME, &daemon.ctr().address, &disk];
    let there = shared.iter().filter(|path| Path::new(path).exists());
    let volumes: Vec<String> = there.map(|path| format!("{path}:{path}")).collect();
    let volumes = volumes.iter().flat_map(|volume| ["--volume", volume]);
    let flags: Vec<&str> = flags.iter().copied().chain(volumes).collect();
    Container::run_with(daemon, BASE, &flags, &["sleep", "1000"])
}

/// Nobody waits for the program by its end: it may pause itself along with the container.
fn refusal_to_a_program_of(container: &Container, first: &str, flag: &str) -> Result<String> {
    let ctr = container.daemon().ctr();
    let script = format!(
        "{first}
         printf '#!/bin/sh\necho no such container >&2; exit 1' >/bin/real; chmod +x /bin/real
         ln -sf {FREEZEFRAME} /bin/nerdctl
         export CONTAINERD_ADDRESS={} CONTAINERD_NAMESPACE={} FREEZEFRAME_NERDCTL=/bin/real
         nerdctl commit --debug {flag} {} {IMAGE} 2>/said || touch /ended{flag}",
        ctr.address, ctr.namespace, container.name
    );
    container.spawn(&["sh", "-ec", &script])?;
    container.wait_for(&format!("/ended{flag}"))?;
    let said = fs::read_to_string(container.root()?.join("said"))?;
    assert!(said.contains("runs inside the container"), "{said}");
    assert_eq!(container.status()?.as_deref(), Some("running"));
    Ok(said)
}
