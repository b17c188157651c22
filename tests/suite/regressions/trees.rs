//! Trees that once came out wrong: names that only look like whiteouts, files in the
//! middle of one long write, links replaced faster than the clock ticks.

use super::IMAGE;
use crate::FREEZEFRAME;
use harness::{Container, Daemon, FileSystem, Result, View, wait_until};
use std::fs;
use std::path::Path;
use std::time::Duration;

#[test]
fn only_the_name_that_looks_like_a_whiteout_is_left_out_of_a_group_of_hard_links() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("mkdir /new; cd /new; echo content >data; ln data .wh.data; ln data more")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    let said = commit.outcome.error_text();
    assert!(said.contains(".wh."), "no warning: {said:?}");
    for view in [
        View::snapshot(&daemon, IMAGE)?,
        View::unpacked(&daemon, IMAGE)?,
    ] {
        for name in ["/new/data", "/new/more"] {
            assert_eq!(view.read(name)?, "content\n", "{name}");
        }
        assert!(!view.path().join("new/.wh.data").exists());
    }
    Ok(())
}

#[test]
fn a_file_in_the_middle_of_one_long_write_is_of_one_moment_on_xfs() -> Result {
    a_file_in_the_middle_of_one_long_write_is_of_one_moment_on(FileSystem::Xfs)
}

#[test]
fn a_file_in_the_middle_of_one_long_write_is_of_one_moment_on_ext4() -> Result {
    a_file_in_the_middle_of_one_long_write_is_of_one_moment_on(FileSystem::Ext4)
}

fn a_file_in_the_middle_of_one_long_write_is_of_one_moment_on(file_system: FileSystem) -> Result {
    let daemon = Daemon::start_on(file_system)?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for round in 0..2 {
        // Begun anew each time, as the first write turns a hole into data.
        container.shell("rm -f /long /long.done")?;
        container.spawn(&["probe", "overwrite", "/long", "300"])?;
        container.wait_for("/long.done")?;
        freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
        container.shell("killall -9 probe")?;
        wait_until("the probe's end", Duration::from_secs(5), || {
            Ok(container.exec(&["pidof", "probe"])?.failed().ok())
        })?;
        let view = View::snapshot(&daemon, IMAGE)?;
        expect_one_boundary(view.path()).map_err(|error| error.context(format!("{round}")))?;
    }
    Ok(())
}

/// A generation under way from the beginning on, the one that was done before in the rest.
fn expect_one_boundary(root: &Path) -> Result {
    let content = fs::read(root.join("long"))?;
    let done = fs::read(root.join("long.done"))?[0];
    let next = if done == 250 { 1 } else { done + 1 };
    let boundary = content.iter().position(|byte| *byte != next);
    let rest = &content[boundary.unwrap_or(content.len())..];
    let stray = rest.iter().position(|byte| *byte != done);
    let found = stray.map(|at| (at, rest[at]));
    anyhow::ensure!(
        content.len() == 300 << 20 && found.is_none(),
        "{} bytes, generation {done} done, the next one up to {boundary:?}, then {found:?}",
        content.len()
    );
    Ok(())
}

#[test]
fn links_replaced_within_one_tick_of_the_clock_are_of_one_moment() -> Result {
    const LINKS: usize = 64;
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "relink", "/links", &LINKS.to_string()])?;
    container.wait_for("/links/ready")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for round in 0..20 {
        freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
        let steps = steps_of(View::snapshot(&daemon, IMAGE)?.path(), LINKS)?;
        let (first, last) = (steps[0], steps[LINKS - 1]);
        let is_one_moment = steps.is_sorted_by(|one, next| one >= next) && first <= last + 1;
        assert!(is_one_moment, "commit {round}: {steps:?}");
    }
    Ok(())
}

fn steps_of(root: &Path, count: usize) -> Result<Vec<u64>> {
    let link = |index| fs::read_link(root.join(format!("links/{index:03}")));
    let steps = (0..count).map(|index| Ok(link(index)?.to_string_lossy().parse()?));
    steps.collect()
}

#[test]
fn a_container_that_stops_and_starts_again_and_again_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo changed >/srv/plain")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    std::thread::scope(|scope| {
        let restarts = scope.spawn(|| restart(&container, 12));
        while !restarts.is_finished() {
            freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
            let plain = View::snapshot(&daemon, IMAGE)?.read("/srv/plain")?;
            assert_eq!(plain, "changed\n");
        }
        restarts.join().expect("no panic")
    })
}

fn restart(container: &Container, times: u32) -> Result {
    for _ in 0..times {
        container.stop()?;
        container.start()?;
    }
    Ok(())
}
