//! What people do with a committed image works: run it, even when its container is
//! gone; remove, save and load it; commit a container of it; commit again to its name;
//! and several commits at once.

use crate::FREEZEFRAME;
use harness::{BASE, Container, Daemon, Outcome, Result, View};
use std::path::Path;

const IMAGE: &str = "docker.io/library/image:latest";

/// A container with something to commit, committed as `IMAGE`.
fn committed(daemon: &Daemon) -> Result<Container<'_>> {
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo first >/srv/first; rm /srv/plain")?;
    commit(&container, IMAGE, &[])?;
    Ok(container)
}

/// What a commit that must succeed directly prints.
fn commit(container: &Container, reference: &str, flags: &[&str]) -> Result<Outcome> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe
        .commit(container, reference, flags)?
        .succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    Ok(commit.outcome)
}

/// Whether a new container of the image has what `committed` made.
fn assert_runs(daemon: &Daemon) -> Result {
    let copy = Container::run(daemon, IMAGE, &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/first"])?, "first");
    copy.exec(&["cat", "/srv/plain"])?.failed()?;
    copy.remove()
}

#[test]
fn an_image_runs_without_an_unpack() -> Result {
    let daemon = Daemon::start()?;
    let container = committed(&daemon)?;
    let list = || daemon.ctr().list(&["snapshots", "ls"]);
    let chain = harness::chain_id(&daemon, IMAGE)?;
    let before = list()?;
    let has_chain = |line: &String| line.starts_with(&chain) && line.contains("Committed");
    assert!(before.iter().any(has_chain), "{before:?}");
    let copy = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    assert_eq!(copy.output(&["cat", "/srv/first"])?, "first");
    let new: Vec<_> = list()?
        .into_iter()
        .filter(|line| !before.contains(line))
        .collect();
    assert_eq!(new.len(), 1, "{new:?}");
    assert!(
        new[0].starts_with(&copy.id) && new[0].contains(&chain),
        "{new:?}"
    );
    container.remove()
}

#[test]
fn an_image_outlives_its_container() -> Result {
    let daemon = Daemon::start()?;
    committed(&daemon)?.remove()?;
    assert_runs(&daemon)?;
    let view = View::snapshot(&daemon, IMAGE)?.tree()?;
    let unpacked = View::unpacked(&daemon, IMAGE)?.tree()?;
    view.assert_same(&unpacked, "the snapshot and the layers");
    Ok(())
}

#[test]
fn a_removed_image_leaves_nothing() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo something >/srv/new")?;
    // What nerdctl's run needed for a while may not have gone yet.
    daemon.ctr().collect_garbage()?;
    let before = harness::Leftovers::now(&container)?;
    commit(&container, IMAGE, &[])?;
    let with_image = before.changes(&harness::Leftovers::now(&container)?);
    let came = |kind: &str| {
        with_image
            .iter()
            .filter(|line| line.starts_with(kind))
            .count()
    };
    let counts = [
        "+ image",
        "+ blob",
        "+ file of a blob",
        "+ overlayfs snapshot",
        "+ folder",
        "+ ",
    ]
    .map(came);
    assert_eq!(counts, [1, 3, 3, 1, 1, 9], "{with_image:?}");
    daemon.nerdctl()?.run(&["rmi", IMAGE])?;
    before.assert_unchanged(&harness::Leftovers::now(&container)?);
    Ok(())
}

#[test]
fn an_image_can_be_saved_and_loaded() -> Result {
    let daemon = Daemon::start()?;
    let container = committed(&daemon)?;
    let digest = daemon.ctr().image_digest(IMAGE)?;
    container.remove()?;
    let archive = daemon.disk().join("saved.tar");
    save(&daemon, &archive)?;
    daemon.nerdctl()?.run(&["rmi", IMAGE])?;
    daemon.ctr().image_digest(IMAGE).expect_err("it is removed");
    load(&daemon, &archive)?;
    assert_eq!(manifest_digest(&daemon)?, digest);
    assert_runs(&daemon)
}

fn save(daemon: &Daemon, archive: &Path) -> Result {
    let file = archive.display().to_string();
    if needs_ctr(daemon)? {
        return daemon
            .ctr()
            .run(&["images", "export", &file, IMAGE])
            .map(drop);
    }
    daemon
        .nerdctl()?
        .run(&["save", "-o", &file, IMAGE])
        .map(drop)
}

fn load(daemon: &Daemon, archive: &Path) -> Result {
    let file = archive.display().to_string();
    if needs_ctr(daemon)? {
        return daemon.ctr().run(&["images", "import", &file]).map(drop);
    }
    daemon.nerdctl()?.run(&["load", "-i", &file]).map(drop)
}

/// The real nerdctl saves and loads through a service that containerd 1.6 lacks.
fn needs_ctr(daemon: &Daemon) -> Result<bool> {
    let plugins = daemon.ctr().run(&["plugins", "ls"])?;
    let is_old = !plugins.contains("io.containerd.transfer");
    let needs = is_old && daemon.nerdctl()?.is_real;
    if needs {
        eprintln!("saved or loaded by ctr: this containerd is too old for nerdctl's way");
    }
    Ok(needs)
}

/// Also where a save has wrapped the manifest in an index.
fn manifest_digest(daemon: &Daemon) -> Result<String> {
    let target = daemon.ctr().image_digest(IMAGE)?;
    let content = daemon.ctr().json(&target)?;
    let inner = content["manifests"][0]["digest"].as_str();
    Ok(inner.map_or(target, str::to_owned))
}

#[test]
fn a_container_of_an_image_of_ours_can_be_committed() -> Result {
    let daemon = Daemon::start()?;
    let container = committed(&daemon)?;
    let second = Container::run(&daemon, IMAGE, &["sleep", "1000"])?;
    second.shell("echo second >/srv/second; echo changed >>/srv/first; rm /srv/secret")?;
    let reference = "docker.io/library/second:latest";
    commit(&second, reference, &["-m", "second"])?;
    second.remove()?;
    container.remove()?;
    daemon.nerdctl()?.run(&["rmi", IMAGE])?;
    let third = Container::run(&daemon, reference, &["sleep", "1000"])?;
    let seen =
        third.shell("cat /srv/first /srv/second; ! ls /srv/plain /srv/secret 2>/dev/null")?;
    assert_eq!(seen, "first\nchanged\nsecond");
    let config = daemon.ctr().config(reference)?;
    let diff_ids = config["rootfs"]["diff_ids"].as_array().map(Vec::len);
    let history = config["history"].as_array().map(Vec::len);
    assert_eq!((diff_ids, history), (Some(4), Some(4)));
    assert_eq!(config["history"][3]["comment"], "second");
    Ok(())
}

#[test]
fn a_changed_command_is_what_an_image_runs() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.shell("echo first >/srv/first")?;
    let flags = [
        "-c",
        r#"ENTRYPOINT ["sh", "-c"]"#,
        "-c",
        r#"CMD ["cat /srv/first; echo $GREETING"]"#,
        "-m",
        "a message",
        "-a",
        "somebody",
    ];
    commit(&container, IMAGE, &flags)?;
    let nerdctl = daemon.nerdctl()?;
    let printed = harness::printed(|| nerdctl.outcome(&["run", "--rm", "--net", "none", IMAGE]))?;
    assert_eq!(printed, "first\nhello there");
    let config = daemon.ctr().config(IMAGE)?;
    assert_eq!(config["author"], "somebody");
    assert_eq!(config["history"][2]["author"], "somebody");
    assert_eq!(config["history"][2]["comment"], "a message");
    Ok(())
}

#[test]
fn a_commit_to_the_same_name_replaces_the_image() -> Result {
    let daemon = Daemon::start()?;
    let container = committed(&daemon)?;
    let first = daemon.ctr().image_digest(IMAGE)?;
    container.shell("echo again >/srv/first")?;
    commit(&container, IMAGE, &[])?;
    assert_ne!(daemon.ctr().image_digest(IMAGE)?, first);
    let images = daemon
        .ctr()
        .list(&["images", "ls", &format!("name=={IMAGE}")])?;
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(
        View::snapshot(&daemon, IMAGE)?.read("/srv/first")?,
        "again\n"
    );
    // The tree as before, so the same layer and the same chain ID, in another image.
    commit(&container, IMAGE, &["-m", "the same once more"])?;
    assert_eq!(
        View::snapshot(&daemon, IMAGE)?.read("/srv/first")?,
        "again\n"
    );
    Ok(())
}

#[test]
fn two_commits_of_one_container_at_once_succeed() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container
        .shell("echo first >/srv/first; rm /srv/plain; dd if=/dev/urandom of=/big bs=1M count=4")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for round in 0..3 {
        let names = ["one", "two"].map(|name| format!("docker.io/library/{name}:{round}"));
        let start = |name: &String| freezeframe.start_commit(&container, name, &[]);
        let commits: Vec<_> = names.iter().map(start).collect::<Result<_>>()?;
        for commit in commits {
            commit.finish()?.succeeded()?;
        }
        let [one, two] = names.each_ref().map(|name| View::snapshot(&daemon, name));
        let (one, two) = (one?, two?);
        one.tree()?.assert_same(&two.tree()?, "two images at once");
        assert_eq!(one.read("/srv/first")?, "first\n");
    }
    assert_eq!(container.status()?.as_deref(), Some("running"));
    Ok(())
}

#[test]
fn several_containers_are_committed_at_once() -> Result {
    let daemon = Daemon::start()?;
    let containers: Vec<_> = (0..4)
        .map(|index| {
            let container = Container::run(&daemon, BASE, &["probe", "churn", "/churn", "300"])?;
            container.shell(&format!("echo {index} >/srv/which"))?;
            Ok(container)
        })
        .collect::<Result<_>>()?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let name = |index| format!("docker.io/library/of:{index}");
    let start = |(index, container)| freezeframe.start_commit(container, &name(index), &[]);
    let commits: Vec<_> = containers
        .iter()
        .enumerate()
        .map(start)
        .collect::<Result<_>>()?;
    for (index, commit) in commits.into_iter().enumerate() {
        commit.finish()?.succeeded()?;
        let which = View::snapshot(&daemon, &name(index))?.read("/srv/which")?;
        assert_eq!(which, format!("{index}\n"));
    }
    Ok(())
}
