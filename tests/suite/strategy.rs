//! Direct or delegated: by the word in `FREEZEFRAME_STRATEGY`, else by what applies; and
//! what is delegated is the real nerdctl's, from its arguments to its exit code.

use crate::FREEZEFRAME;
use crate::scripted::Scripted;
use harness::{BASE, Commit, Container, Daemon, Freezeframe, Leftovers, Result};
use std::fs;

const REFERENCE: &str = "docker.io/library/strategic:latest";
const STRATEGY: &str = "FREEZEFRAME_STRATEGY";

#[test]
fn delegate_hands_the_same_words_on_and_passes_output_and_exit_code() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let recorder = recorder(&daemon)?;
    let freezeframe = recorder.delegated_to(&daemon)?;
    let report = daemon.run_folder().join("flag.json");
    let words = ["--debug=false", "container", "commit", "-m", "a  b", "-p=0"];
    let flag = format!("--report={}", report.display());
    let line = [&words[..], &[&flag, &container.name, "x:1"]].concat();
    let seen = freezeframe.outcome(&line)?;
    assert_eq!(seen.status.code(), Some(7), "{}", seen.describe());
    assert_eq!(seen.text(), "from the real one");
    assert_eq!(seen.error_text(), "its error");
    let expected = [&words[..], &[&container.name, "x:1"]].concat();
    assert_eq!(recorder.lines("words"), expected);
    let report: serde_json::Value = serde_json::from_slice(&fs::read(&report)?)?;
    assert_eq!(report["strategy"], "delegate");
    assert_eq!(report["result"], "error");
    assert!(report["error"].as_str().is_some_and(|e| e.contains('7')));
    Ok(())
}

#[test]
fn a_delegated_commit_makes_the_image() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo new >/srv/new")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(STRATEGY, "delegate");
    let commit = freezeframe.commit(&container, REFERENCE, &[])?;
    let commit = commit.succeeded()?;
    assert_eq!(commit.report["strategy"], "delegate");
    assert_eq!(commit.report["result"], "ok");
    let digest = &daemon.ctr().manifest(REFERENCE)?["config"]["digest"];
    assert_eq!(*digest, commit.outcome.text());
    let copy = Container::run(&daemon, REFERENCE, &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/new"])?, "new");
    Ok(())
}

#[test]
fn auto_is_direct_where_that_applies() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    for word in ["", "auto", "direct"] {
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(STRATEGY, word);
        let commit = freezeframe.commit(&container, REFERENCE, &[])?;
        assert_eq!(commit.succeeded()?.report["strategy"], "direct", "{word}");
    }
    Ok(())
}

#[test]
fn auto_delegates_a_container_of_another_snapshotter_and_says_why() -> Result {
    let daemon = Daemon::start()?;
    let container = native(&daemon)?;
    let recorder = recorder(&daemon)?;
    let freezeframe = recorder.before_us(&daemon)?;
    let commit = freezeframe.commit(&container, REFERENCE, &["--debug"])?;
    assert_eq!(commit.report["strategy"], "delegate");
    let reason = commit.report["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("native"), "{:#}", commit.report);
    let said = commit.outcome.error_text();
    assert!(said.contains(reason), "{said}");
    let quiet = freezeframe.commit(&container, REFERENCE, &[])?;
    assert_eq!(quiet.outcome.error_text(), "its error");
    Ok(())
}

#[test]
fn auto_delegates_a_layer_that_only_the_real_one_makes() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let recorder = recorder(&daemon)?;
    let freezeframe = recorder.before_us(&daemon)?;
    let commit = freezeframe.commit(&container, REFERENCE, &["--estargz"])?;
    assert_eq!(commit.outcome.status.code(), Some(7));
    assert_eq!(
        recorder.lines("words"),
        ["commit", "--estargz", &container.name, REFERENCE]
    );
    Ok(())
}

#[test]
fn direct_where_it_does_not_apply_fails_with_the_reason() -> Result {
    let daemon = Daemon::start()?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(STRATEGY, "direct");
    let container = native(&daemon)?;
    expect_refusal(&freezeframe, &container, &[], "native")?;
    let container = daemon.run(&["sleep", "1000"])?;
    expect_refusal(&freezeframe, &container, &["--estargz"], "--estargz")
}

#[test]
fn delegate_without_a_real_nerdctl_fails_with_the_reason() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let without = daemon.freezeframe(FREEZEFRAME)?;
    let without = without
        .with("FREEZEFRAME_NERDCTL", "")
        .with("PATH", daemon.new_folder("empty")?);
    expect_refusal(&without, &container, &["--estargz"], "--estargz")?;
    let delegating = without.with(STRATEGY, "delegate");
    expect_refusal(
        &delegating,
        &container,
        &[],
        "FREEZEFRAME_STRATEGY=delegate",
    )
}

#[test]
fn a_commit_needs_no_real_nerdctl() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let without = daemon.freezeframe(FREEZEFRAME)?;
    let without = without
        .with("FREEZEFRAME_NERDCTL", "")
        .with("PATH", daemon.new_folder("empty")?);
    without.commit(&container, REFERENCE, &[])?.succeeded()?;
    let prefix = &container.id[..20];
    without
        .outcome(&["commit", prefix, "by-prefix"])?
        .succeeded()?;
    daemon
        .ctr()
        .manifest("docker.io/library/by-prefix:latest")?;
    Ok(())
}

/// The real nerdctl would find two.
#[test]
fn a_whole_id_is_that_containers_though_another_one_begins_with_it() -> Result {
    let daemon = Daemon::start()?;
    let without = daemon.freezeframe(FREEZEFRAME)?;
    let without = without
        .with("FREEZEFRAME_NERDCTL", "")
        .with("PATH", daemon.new_folder("empty")?);
    // Unique on this machine, as runc's state is shared.
    let short = format!("{}-whole", daemon.ctr().namespace);
    let long = format!("{short}-and-more");
    for id in [&short, &long] {
        let create = ["containers", "create", BASE, id, "sleep", "1000"];
        daemon.ctr().run(&create)?;
    }
    let commit = || without.start_commit_of(&short, REFERENCE, &[])?.finish();
    let committed = commit()?.succeeded()?;
    assert_eq!(committed.report["container_id"], short);
    // By now it is the name of the other.
    let name = format!("nerdctl/name={short}");
    daemon.ctr().run(&["containers", "label", &long, &name])?;
    let said = commit()?.failed()?.outcome.error_text();
    assert!(said.contains("multiple IDs found"), "{said}");
    Ok(())
}

#[test]
fn fallback_is_the_real_one_where_that_succeeds() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(STRATEGY, "fallback");
    let commit = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    assert_eq!(commit.report["strategy"], "delegate");
    let digest = &daemon.ctr().manifest(REFERENCE)?["config"]["digest"];
    assert_eq!(*digest, commit.outcome.text());
    Ok(())
}

#[test]
fn fallback_is_direct_where_the_real_one_loses_the_race() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo new >/srv/new")?;
    let loser = Scripted::new(
        &daemon,
        "echo try >>$folder/tries; echo partial; echo 'archive/tar: write too long' >&2; exit 1",
    )?;
    let freezeframe = loser.before_us(&daemon)?.with(STRATEGY, "fallback");
    let commit = freezeframe
        .commit(&container, REFERENCE, &[])?
        .succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    assert_eq!(commit.outcome.error_text(), "");
    let digest = &daemon.ctr().manifest(REFERENCE)?["config"]["digest"];
    assert_eq!(*digest, commit.outcome.text());
    assert_eq!(loser.lines("tries"), ["try"]);
    Ok(())
}

#[test]
fn fallback_leaves_every_other_failure_to_the_real_one() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = recorder(&daemon)?.before_us(&daemon)?;
    let freezeframe = freezeframe.with(STRATEGY, "fallback");
    let commit = freezeframe.commit(&container, REFERENCE, &[])?;
    assert_eq!(commit.outcome.status.code(), Some(7));
    assert_eq!(commit.outcome.error_text(), "its error");
    assert_eq!(commit.report["strategy"], "delegate");
    Ok(())
}

#[test]
fn fallback_without_a_real_nerdctl_is_direct() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?.with(STRATEGY, "fallback");
    let without = freezeframe
        .with("FREEZEFRAME_NERDCTL", "")
        .with("PATH", daemon.new_folder("empty")?);
    let commit = without.commit(&container, REFERENCE, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    Ok(())
}

fn native(daemon: &Daemon) -> Result<Container<'_>> {
    Container::run_with(
        daemon,
        BASE,
        &["--snapshotter", "native"],
        &["sleep", "1000"],
    )
}

fn expect_refusal(
    freezeframe: &Freezeframe,
    container: &Container,
    flags: &[&str],
    reason: &str,
) -> Result {
    container.daemon().ctr().collect_garbage()?;
    let before = Leftovers::now(container)?;
    let Commit { outcome, report } = freezeframe.commit(container, REFERENCE, flags)?;
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    assert!(
        outcome.error_text().contains(reason),
        "{}",
        outcome.describe()
    );
    assert!(report["error"].as_str().is_some_and(|e| e.contains(reason)));
    before.assert_unchanged(&Leftovers::now(container)?);
    Ok(())
}

/// A nerdctl that notes the words of a commit, prints something and fails with 7.
fn recorder(daemon: &Daemon) -> Result<Scripted> {
    let script = "printf '%s\\n' \"$@\" >$folder/words\n\
                  echo from the real one; echo its error >&2; exit 7";
    Scripted::new(daemon, script)
}
