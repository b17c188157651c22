//! Base layers that the content store no longer has, and a registry does: the real nerdctl
//! fetches them, as for its own commit.

use super::layers::{discard, save};
use super::{IMAGE, MINE, assert_runs, changed, changed_of, mine};
use crate::FREEZEFRAME;
use crate::scripted::Scripted;
use harness::{Commit, Container, Daemon, Registry, Result, Signal};
use std::fs;
use std::net::TcpListener;

/// A container of an image `name` with one changed file, all of whose layers are discarded.
fn without_layers<'d>(daemon: &'d Daemon, name: &str) -> Result<Container<'d>> {
    let container = changed_of(daemon, name)?;
    discard(daemon, name, 3)?;
    Ok(container)
}

/// A registry that has the image under the name that is returned.
fn with_registry(daemon: &Daemon) -> Result<(Registry<'_>, String)> {
    let registry = Registry::start(daemon)?;
    let name = format!("{}/team/mine:1", registry.address);
    mine("mine").import(daemon, &name)?;
    registry.take(&name)?;
    Ok((registry, name))
}

fn commit_as(container: &Container, name: &str) -> Result<Commit> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, name, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    Ok(commit)
}

fn commit(container: &Container) -> Result<Commit> {
    commit_as(container, IMAGE)
}

/// A fetch that takes its time is told of, which is no warning.
fn assert_lacks_nothing(commit: &Commit) {
    let said = commit.outcome.error_text();
    assert!(!said.contains("level=warning"), "{said}");
}

fn image_names(daemon: &Daemon) -> Result<Vec<String>> {
    let names = daemon.ctr().run(&["images", "ls", "--quiet"])?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// By digest: what the name leads to in the registry by now is another image.
#[test]
fn what_the_base_lacks_is_fetched_so_that_the_image_can_be_pushed() -> Result {
    let daemon = Daemon::start()?;
    let (registry, name) = with_registry(&daemon)?;
    mine("another").import(&daemon, &name)?;
    registry.take(&name)?;
    mine("mine").import(&daemon, &name)?;
    let container = without_layers(&daemon, &name)?;
    let before = image_names(&daemon)?;

    let commit = commit(&container)?;
    assert_lacks_nothing(&commit);
    assert!(commit.report["stages_ms"]["fetch"].is_number());
    let mut expected = [before, vec![IMAGE.to_owned()]].concat();
    expected.sort();
    assert_eq!(image_names(&daemon)?, expected);

    // The image holds what has come itself, whatever becomes of the base.
    container.remove()?;
    let ctr = daemon.ctr();
    ctr.run(&["images", "rm", "--sync", &name])?;
    save(&daemon)?.succeeded()?;
    let pushed = format!("{}/team/pushed:1", registry.address);
    ctr.run(&["images", "tag", IMAGE, &pushed])?;
    registry.take(&pushed)?;
    assert_runs(&daemon)
}

/// The name leads to the commit then, and what has the base's layers alone has none.
#[test]
fn what_lies_below_a_commit_to_its_own_name_is_fetched() -> Result {
    let daemon = Daemon::start()?;
    let (_registry, name) = with_registry(&daemon)?;
    let container = changed_of(&daemon, &name)?;
    commit_as(&container, &name)?;
    discard(&daemon, &name, 3)?;
    let again = commit_as(&container, &name)?;
    assert_lacks_nothing(&again);
    assert!(again.report["stages_ms"]["fetch"].is_number());
    daemon.ctr().run(&["images", "tag", &name, IMAGE])?;
    save(&daemon)?.succeeded()?;
    assert_runs(&daemon)
}

/// As on a host of many sandboxes.
#[test]
fn commits_that_fetch_the_same_at_once_leave_no_record() -> Result {
    let daemon = Daemon::start()?;
    let (_registry, name) = with_registry(&daemon)?;
    let run = |_| Container::run(&daemon, &name, &["sleep", "1000"]);
    let containers: Vec<_> = (0..3).map(run).collect::<Result<_>>()?;
    discard(&daemon, &name, 3)?;
    let before = image_names(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let image = |number: usize| format!("docker.io/library/image-{number}:latest");
    let start = |(number, container): (usize, &Container)| {
        freezeframe.start_commit(container, &image(number), &[])
    };
    let commits: Vec<_> = containers
        .iter()
        .enumerate()
        .map(start)
        .collect::<Result<_>>()?;
    for commit in commits {
        assert_lacks_nothing(&commit.finish()?.succeeded()?);
    }
    let mut expected = [before, (0..3).map(image).collect()].concat();
    expected.sort();
    assert_eq!(image_names(&daemon)?, expected);
    Ok(())
}

#[test]
fn a_record_of_the_base_by_its_digest_stays() -> Result {
    let daemon = Daemon::start()?;
    let (_registry, name) = with_registry(&daemon)?;
    let ctr = daemon.ctr();
    let digest = ctr.image_digest(&name)?;
    let by_digest = name.replace(":1", &format!("@{digest}"));
    ctr.run(&["images", "tag", &name, &by_digest])?;
    ctr.run(&["images", "label", &by_digest, "whose=somebody's"])?;
    let container = without_layers(&daemon, &name)?;
    assert_lacks_nothing(&commit(&container)?);
    let records = ctr.list(&["images", "ls"])?;
    let record = records
        .iter()
        .find(|line| line.starts_with(&format!("{by_digest} ")));
    assert!(
        record.is_some_and(|record| record.contains("whose=somebody's")),
        "{records:?}"
    );
    Ok(())
}

/// The name of an image of a registry that takes connections and never answers.
fn with_silent_registry(daemon: &Daemon) -> Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let name = format!("{}/team/mine:1", listener.local_addr()?);
    mine("mine").import(daemon, &name)?;
    Ok((listener, name))
}

/// The image is made and its digest printed, whatever the `reason` why its base is not whole.
fn assert_made_with_warning(daemon: &Daemon, commit: &Commit, reason: &str) -> Result {
    let said = commit.outcome.error_text();
    for part in ["level=warning", "3 of the 3 layers", reason] {
        assert!(said.contains(part), "{part:?} is not in {said}");
    }
    assert!(commit.outcome.text().starts_with("sha256:"));
    assert_eq!(commit.report["result"], "ok");
    assert_runs(daemon)
}

/// By us, or by containerd, which has such a bound since 2.0.
#[test]
#[ignore = "takes minutes: tests/long"]
fn a_registry_that_says_nothing_is_given_up() -> Result {
    let daemon = Daemon::start()?;
    let (_listener, name) = with_silent_registry(&daemon)?;
    let container = without_layers(&daemon, &name)?;
    let commit = commit(&container)?;
    let said = commit.outcome.error_text();
    assert!(said.contains("level=info msg=\"the image is made; 3 of the 3 layers"));
    assert_made_with_warning(&daemon, &commit, "did not get them")
}

#[test]
fn a_signal_ends_the_wait_for_a_registry_and_leaves_the_image() -> Result {
    let daemon = Daemon::start()?;
    let (_listener, name) = with_silent_registry(&daemon)?;
    let container = without_layers(&daemon, &name)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("fetch")?;
    committing.signal(Signal::INT)?;
    let commit = committing.finish()?.succeeded()?;
    assert_made_with_warning(&daemon, &commit, "not waited for any longer")
}

/// A container of `MINE` without its layers, and a commit of it by way of `script`, which is to
/// fetch them.
fn commit_by_script(daemon: &Daemon, script: &str, globals: &[&str]) -> Result<(Scripted, String)> {
    mine("mine").import(daemon, MINE)?;
    let container = changed(daemon)?;
    discard(daemon, MINE, 3)?;
    let scripted = Scripted::new(daemon, script)?;
    let words = [globals, &["commit", &container.name, IMAGE]].concat();
    let outcome = scripted.before_us(daemon)?.outcome(&words)?.succeeded()?;
    assert!(outcome.text().starts_with("sha256:"));
    Ok((scripted, outcome.error_text()))
}

#[test]
fn the_real_nerdctl_gets_the_flags_that_were_typed_and_its_last_words_are_the_reason() -> Result {
    let daemon = Daemon::start()?;
    let script = "echo \"$*\" >$folder/words; echo 'denied by the registry' >&2; exit 3";
    let globals = ["--hosts-dir=/nowhere", "--insecure-registry"];
    let (scripted, said) = commit_by_script(&daemon, script, &globals)?;
    let config = daemon.ctr().config(MINE)?;
    let platform = config["architecture"].as_str().unwrap_or_default();
    let digest = daemon.ctr().image_digest(MINE)?;
    let words = scripted.lines("words").concat();
    let before = format!(
        "--hosts-dir=/nowhere --insecure-registry=true pull --quiet --unpack=false \
         --platform=linux/{platform} docker.io/library/mine:freezeframe-"
    );
    assert!(words.starts_with(&before), "{words}");
    assert!(words.ends_with(&format!("@{digest}")), "{words}");
    assert!(said.contains("did not get them: denied by the registry"));
    Ok(())
}

#[test]
fn a_containerd_that_ends_while_layers_are_fetched_is_said_of() -> Result {
    let daemon = Daemon::start()?;
    let script = format!("kill -KILL {}; exit 3", daemon.process_id());
    let (_, said) = commit_by_script(&daemon, &script, &[])?;
    assert!(said.contains("3 of the 3 layers"), "{said}");
    Ok(())
}

#[test]
fn all_that_a_script_has_started_ends_when_it_is_not_waited_for() -> Result {
    let daemon = Daemon::start()?;
    // $PPID is freezeframe.
    let script = "sleep 1000 & echo $! >$folder/started; kill -TERM $PPID; wait; exit 3";
    let (scripted, said) = commit_by_script(&daemon, script, &[])?;
    assert!(said.contains("not waited for any longer"), "{said}");
    // That of one that has ended reads empty, whether or not somebody has waited for it.
    let command_line = format!("/proc/{}/cmdline", scripted.lines("started").concat());
    assert_eq!(fs::read_to_string(command_line).unwrap_or_default(), "");
    Ok(())
}
