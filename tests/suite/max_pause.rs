//! `--max-pause`: a container is not frozen for longer than somebody allows, or the commit fails and says what it needs.

use crate::FREEZEFRAME;
use crate::scripted::Scripted;
use harness::{Commit, Daemon, Leftovers, Result, wait_until};
use std::fs;
use std::time::Duration;

const REFERENCE: &str = "docker.io/library/bounded:latest";
const VARIABLE: &str = "FREEZEFRAME_MAX_PAUSE";
/// No freeze is as short.
const TOO_SHORT: &str = "1us";

fn expect_refusal(commit: &Commit, parts: &[&str]) {
    assert_eq!(commit.outcome.status.code(), Some(1));
    let said = commit.outcome.error_text();
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(commit.report["result"], "error");
}

#[test]
fn a_commit_that_needs_less_is_made() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "append-logs", "/logs", "3"])?;
    container.wait_for("/logs/2.log")?;
    for (flags, variable) in [(&["--max-pause", "1m"][..], ""), (&[], "1m")] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(VARIABLE, variable);
        let commit = freezeframe.commit(&container, REFERENCE, flags)?;
        let report = commit.succeeded()?.report;
        assert!(
            report["frozen_ms"]
                .as_f64()
                .is_some_and(|frozen| frozen > 0.0)
        );
    }
    Ok(())
}

#[test]
fn a_commit_that_needs_more_fails_with_what_it_needs_and_leaves_nothing() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "append-logs", "/logs", "3"])?;
    container.wait_for("/logs/2.log")?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    for (flags, variable) in [(&["--max-pause", TOO_SHORT][..], "1m"), (&[], TOO_SHORT)] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(VARIABLE, variable);
        let commit = freezeframe.commit(&container, REFERENCE, flags)?;
        expect_refusal(
            &commit,
            &["frozen for about", "ms", "--max-pause 1µs", "allow more"],
        );
        before.assert_unchanged(&Leftovers::now(&container)?);
    }
    Ok(())
}

#[test]
fn a_container_that_is_not_frozen_by_us_needs_no_allowance() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo x >/srv/x")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(VARIABLE, TOO_SHORT);
    let commit = freezeframe.commit(&container, REFERENCE, &["--pause=false"])?;
    commit.succeeded()?;
    container.pause()?;
    freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    assert_eq!(container.status()?.as_deref(), Some("paused"));
    Ok(())
}

#[test]
fn what_is_no_time_is_named() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    for wrong in ["200", "0", "-1s", "soon", "0s"] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        let commit = freezeframe.commit(&container, REFERENCE, &["--max-pause", wrong])?;
        expect_refusal(&commit, &["--max-pause", wrong, "200ms"]);
        let commit = freezeframe
            .with(VARIABLE, wrong)
            .commit(&container, REFERENCE, &[])?;
        expect_refusal(&commit, &[VARIABLE, wrong, "200ms"]);
    }
    Ok(())
}

#[test]
fn a_commit_that_has_to_be_delegated_is_refused() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let flags = ["--max-pause=1m", "--estargz"];
    let commit = freezeframe.commit(&container, REFERENCE, &flags)?;
    expect_refusal(&commit, &["--max-pause", "delegated", "--estargz"]);
    let freezeframe = freezeframe.with("FREEZEFRAME_STRATEGY", "delegate");
    let commit = freezeframe.commit(&container, REFERENCE, &["--max-pause=1m"])?;
    expect_refusal(&commit, &["--max-pause", "delegated", "--pause=false"]);
    // Nobody pauses a container that does not run.
    container.kill()?;
    let commit = freezeframe.commit(&container, REFERENCE, &["--max-pause=1m"])?;
    assert_eq!(commit.succeeded()?.report["strategy"], "delegate");
    Ok(())
}

/// Between two tries it may begin to run.
#[test]
fn a_delegated_commit_does_not_pause_a_container_that_has_started_meanwhile() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.kill()?;
    container.delete_task()?;
    let started = daemon.run_folder().join("started");
    let script = format!(
        "echo x >>$folder/tries; while [ ! -e {} ]; do sleep 0.05; done; echo 'archive/tar: write too long' >&2; exit 1",
        started.display()
    );
    let real = Scripted::new(&daemon, &script)?;
    let freezeframe = real.delegated_to(&daemon)?;
    let committing = freezeframe.start_commit(&container, REFERENCE, &["--max-pause=1m"])?;
    wait_until("the first try", Duration::from_secs(15), || {
        Ok((!real.lines("tries").is_empty()).then_some(()))
    })?;
    container.start()?;
    fs::write(&started, "")?;
    expect_refusal(&committing.finish()?, &["--max-pause", "delegated"]);
    assert_eq!(real.lines("tries").len(), 1);
    Ok(())
}
