//! A commit that runs inside the container it is about, as far as cgroups go: it would freeze itself,
//! and for ever, so it says no; without a pause there is nothing that it could not do.

use super::IMAGE;
use crate::FREEZEFRAME;
use crate::cgroup2::unified_daemon;
use harness::{Daemon, Leftovers, Outcome, Result, outcome};
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
