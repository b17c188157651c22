//! Image records that were deleted or moved since the container started, and content
//! among which the base must be found then: unlabelled, damaged, or there twice.

use super::{
    IMAGE, MINE, assert_runs, changed, commit, commit_by_layers, commit_quietly, digest_of, layers,
    mine,
};
use crate::FREEZEFRAME;
use harness::image::{Blob, CONFIG, Entry, Image, Index, MANIFEST, architecture};
use harness::{BASE, Container, Daemon, Leftovers, Result, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const OTHER: &str = "docker.io/library/other:latest";
const THIRD: &str = "docker.io/library/third:latest";
/// `OTHER` with its layers in another compression.
const TWIN: &str = "docker.io/library/twin:latest";

/// A container of `MINE`, which is then called `OTHER`.
fn renamed(daemon: &Daemon) -> Result<Container<'_>> {
    mine("mine").import(daemon, MINE)?;
    let container = changed(daemon)?;
    daemon.ctr().run(&["images", "tag", MINE, OTHER])?;
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    Ok(container)
}

/// Whether the image stands on what `OTHER` is.
fn assert_stands_on_other(daemon: &Daemon) -> Result {
    let (new, old) = (daemon.ctr().manifest(IMAGE)?, daemon.ctr().manifest(OTHER)?);
    assert_eq!(layers(&new)[..3], layers(&old));
    Ok(())
}

#[test]
fn a_base_with_another_name_is_found() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    commit_by_layers(&container)?;
    assert_stands_on_other(&daemon)?;
    assert_runs(&daemon)
}

#[test]
fn a_base_whose_name_has_moved_on_is_found() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    mine("a newer version").import(&daemon, MINE)?;
    commit_by_layers(&container)?;
    assert_stands_on_other(&daemon)
}

#[test]
fn a_base_that_is_gone_is_named_and_nothing_is_done() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    // Its configuration is that of another program.
    let child = mine("mine").layer(vec![Entry::file("srv/child", "child")]);
    let child = child.label("child");
    child.clone().import(&daemon, OTHER)?;
    for newer in [None, Some(mine("a newer version")), Some(child)] {
        daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
        newer.map_or(Ok(()), |image: Image| image.import(&daemon, MINE))?;
        daemon.ctr().collect_garbage()?;
        let before = Leftovers::now(&container)?;
        let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
        let commit = freezeframe.commit(&container, IMAGE, &[])?.failed()?;
        let said = commit.outcome.error_text();
        assert_eq!(said.lines().count(), 1, "{said}");
        for part in [
            &container.id,
            MINE,
            "no longer in the content store",
            "pull it again",
        ] {
            assert!(said.contains(part), "{part:?} is not in {said}");
        }
        before.assert_unchanged(&Leftovers::now(&container)?);
    }
    // What the message advises helps.
    mine("mine").import(&daemon, MINE)?;
    commit_quietly(&container)
}

#[test]
fn a_base_of_which_only_a_commit_is_left_is_found_below_that() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    commit_quietly(&container)?;
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    let first = layers(&daemon.ctr().manifest(IMAGE)?);
    commit_by_layers(&container)?;
    let second = layers(&daemon.ctr().manifest(IMAGE)?);
    assert_eq!((&second[..3], second.len()), (&first[..3], 4));
    assert_runs(&daemon)
}

/// The name leads to an image on the base then, and nothing to the base itself. Stock
/// stacks the second change on the first, and so keeps what was deleted in between.
#[test]
fn a_container_can_be_committed_to_the_name_of_its_own_image_again_and_again() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let below = layers(&daemon.ctr().manifest(MINE)?);
    let container = changed(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for round in 0..3 {
        container.shell(&format!("rm -f /srv/new-*; touch /srv/new-{round}"))?;
        let commit = freezeframe.commit(&container, MINE, &[])?.succeeded()?;
        assert_eq!(commit.outcome.error_text(), "");
        daemon.ctr().collect_garbage()?;
        let now = layers(&daemon.ctr().manifest(MINE)?);
        assert_eq!((&now[..3], now.len()), (&below[..], 4));
        let config = daemon.ctr().config(MINE)?;
        assert_eq!(config["history"].as_array().map(Vec::len), Some(4));
        let copy = Container::run(&daemon, MINE, &["sleep", "1000"])?;
        let seen = copy.shell("cat /srv/plain /srv/mine; ls /srv | grep new-")?;
        assert_eq!(seen, format!("changed\nmine\nnew-{round}"));
        copy.remove()?;
    }
    Ok(())
}

/// As with stock, whatever else leads to the base.
#[test]
fn what_a_commit_to_the_containers_own_image_has_set_stays_in_the_next() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    for has_other_name in [true, false] {
        if has_other_name {
            daemon.ctr().run(&["images", "tag", MINE, OTHER])?;
        } else {
            daemon.ctr().run(&["images", "rm", "--sync", OTHER])?;
        }
        let said = if has_other_name { "one" } else { "two" };
        let change = format!(r#"CMD ["echo", "{said}"]"#);
        let flags = ["--author", said, "--change", &change];
        freezeframe.commit(&container, MINE, &flags)?.succeeded()?;
        freezeframe.commit(&container, MINE, &[])?.succeeded()?;
        let config = daemon.ctr().config(MINE)?;
        assert_eq!(config["config"]["Cmd"], json!(["echo", said]));
        assert_eq!(config["author"], said);
        assert_eq!(config["history"].as_array().map(Vec::len), Some(4));
    }
    Ok(())
}

#[test]
fn a_base_counts_more_than_what_was_made_on_it_under_its_name() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    let newer = mine("mine").layer(vec![Entry::file("srv/newer", "newer")]);
    newer.label("newer").import(&daemon, MINE)?;
    commit_by_layers(&container)?;
    assert_stands_on_other(&daemon)?;
    let config = daemon.ctr().config(IMAGE)?;
    assert_eq!(config["config"]["Labels"]["from"], "base");
    Ok(())
}

/// An image that adds no layer to another has its layers, and its snapshot.
#[test]
fn a_base_of_other_metadata_with_the_same_layers_is_not_taken_for_the_containers() -> Result {
    const SLEEP: [&str; 2] = ["sleep", "1000"];
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, OTHER)?;
    mine("mine").command(&SLEEP).import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let command_of = |reference| -> Result<Value> {
        freezeframe
            .commit(&container, reference, &[])?
            .succeeded()?;
        daemon.ctr().collect_garbage()?;
        Ok(daemon.ctr().config(reference)?["config"]["Cmd"].take())
    };
    // Its own name leads to what was committed, from the second time on.
    assert_eq!(command_of(MINE)?, json!(SLEEP));
    assert_eq!(command_of(MINE)?, json!(SLEEP));
    mine("mine").command(&SLEEP).import(&daemon, THIRD)?;
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    assert_eq!(command_of(IMAGE)?, json!(SLEEP));
    daemon.ctr().run(&["images", "rm", "--sync", THIRD])?;
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    assert_eq!(command_of(IMAGE)?, json!(SLEEP), "kept by the commit");
    forget_bases(&container)?;
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    assert_eq!(
        command_of(IMAGE)?,
        json!(["/bin/sh"]),
        "nothing else is left"
    );
    Ok(())
}

#[test]
fn of_bases_with_the_same_layers_the_one_with_the_containers_labels_is_its_own() -> Result {
    let daemon = Daemon::start()?;
    let labels = ["one", "two", "three"];
    for label in labels {
        let other = format!("docker.io/library/{label}:latest");
        mine("mine").label(label).import(&daemon, &other)?;
    }
    for label in labels {
        mine("mine").label(label).import(&daemon, MINE)?;
        let container = changed(&daemon)?;
        daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
        commit_by_layers(&container)?;
        let config = daemon.ctr().config(IMAGE)?;
        assert_eq!(config["config"]["Labels"]["from"], label);
        forget_bases(&container)?;
    }
    Ok(())
}

/// The first one found would be taken else: the one whose digest is the least.
#[test]
fn a_base_that_was_made_later_than_the_container_is_not_its_own() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    let own = daemon.ctr().image_digest(OTHER)?;
    for year in 2100.. {
        let later = mine("mine").created(&format!("{year}-01-01T00:00:00Z"));
        later.import(&daemon, THIRD)?;
        if daemon.ctr().image_digest(THIRD)? < own {
            break;
        }
    }
    let said = commit(&container)?.outcome.error_text();
    assert!(said.contains(&own), "{own} is not in {said}");
    Ok(())
}

/// Removes what keeps base images as long as the container's snapshot.
fn forget_bases(container: &Container) -> Result {
    let ctr = container.daemon().ctr();
    let info = |key: &str| -> Result<Value> {
        let text = ctr.run(&["snapshots", "info", key])?;
        Ok(serde_json::from_str(&text)?)
    };
    let own = info(&container.id)?;
    let parent = own["Parent"].as_str().unwrap_or_default();
    let below = info(parent)?;
    for label in below["Labels"].as_object().into_iter().flatten() {
        if label.0.starts_with("containerd.io/gc.ref.content") {
            ctr.run(&["snapshots", "label", parent, &format!("{}=", label.0)])?;
        }
    }
    Ok(())
}

/// Removes the label that leads from a snapshot to its configuration.
fn remove_label(daemon: &Daemon, reference: &str) -> Result {
    let config = daemon.ctr().manifest(reference)?["config"].take();
    let label = "containerd.io/gc.ref.snapshot.overlayfs";
    let call = ["content", "label", digest_of(&config), &format!("{label}=")];
    daemon.ctr().run(&call)?;
    let left = daemon
        .ctr()
        .run(&["content", "ls", &format!("labels.{label:?}")])?;
    assert!(!left.contains(digest_of(&config)), "{left}");
    Ok(())
}

#[test]
fn a_base_that_no_label_leads_to_is_found() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    remove_label(&daemon, OTHER)?;
    commit_by_layers(&container)?;
    assert_stands_on_other(&daemon)
}

/// A blob that nothing refers to, and that stays all the same: put again where it was collected before it was labelled.
fn put(daemon: &Daemon, content: Vec<u8>) -> Result<PathBuf> {
    let blob = Blob::new(MANIFEST, content);
    let (ctr, name) = (daemon.ctr(), daemon.unique("blob"));
    wait_until("a blob that stays", Duration::from_secs(10), || {
        ctr.feed(&["content", "ingest", &name], &blob.bytes)?;
        let labelled = ctr.run(&["content", "label", &blob.digest, "containerd.io/gc.root=x"]);
        Ok(labelled.ok())
    })?;
    Ok(file_of(daemon, &blob.digest))
}

/// Where containerd keeps a blob.
fn file_of(daemon: &Daemon, digest: &str) -> PathBuf {
    let blobs = daemon.content_store().join("blobs");
    let path = blobs.join(digest.replace(':', "/"));
    assert!(path.exists(), "{}", path.display());
    path
}

#[test]
fn content_that_is_damaged_or_huge_or_no_manifest_is_passed_over() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    remove_label(&daemon, OTHER)?;
    put(&daemon, b"{\"manifests\":".to_vec())?;
    put(&daemon, b"[[[]]]".repeat(3_000_000))?;
    put(&daemon, b"[".repeat(200_000))?;
    put(&daemon, br#"{"manifests":[{"digest":7},{},null]}"#.to_vec())?;
    put(
        &daemon,
        br#"{"manifests":[{"digest":"../x"},{"digest":"sha256:0"}]}"#.to_vec(),
    )?;
    let nowhere = "sha256:".to_owned() + &"0".repeat(64);
    let lost = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{CONFIG}","digest":"{nowhere}","size":1}},"layers":[]}}"#
    );
    put(&daemon, lost.into_bytes())?;
    let manifest = fs::read(file_of(&daemon, &daemon.ctr().image_digest(OTHER)?))?;
    // Valid, but of a layer too many for its configuration.
    let mut value: Value = serde_json::from_slice(&manifest)?;
    let layers = value["layers"].as_array_mut().expect("layers");
    layers.push(layers[0].clone());
    put(&daemon, serde_json::to_vec(&value)?)?;
    fs::remove_file(put(&daemon, b"gone from the disk".to_vec())?)?;
    fs::write(put(&daemon, [&manifest[..], b" "].concat())?, "")?;
    commit_by_layers(&container)?;
    assert_stands_on_other(&daemon)
}

#[test]
fn a_damaged_manifest_beside_the_base_in_its_index_is_passed_over() -> Result {
    for damage in [|path| fs::write(path, "{"), |path| fs::remove_file(path)] {
        let daemon = Daemon::start()?;
        let other = mine("of another platform").architecture("s390x");
        Index::default()
            .with("s390x", other.archive(MINE)?)?
            .with(architecture(), mine("mine").archive(MINE)?)?
            .import(daemon.ctr(), MINE, true)?;
        let index = daemon.ctr().json(&daemon.ctr().image_digest(MINE)?)?;
        let container = changed(&daemon)?;
        damage(file_of(&daemon, digest_of(&index["manifests"][0])))?;
        commit_quietly(&container)?;
    }
    Ok(())
}

fn assert_has_no_base(container: &Container) -> Result {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &[])?.failed()?;
    let said = commit.outcome.error_text();
    assert!(said.contains("no longer in the content store"), "{said}");
    Ok(())
}

#[test]
fn a_manifest_with_other_content_than_its_digest_is_nobodys_base() -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    let manifest = daemon.ctr().manifest(BASE)?;
    let file = file_of(&daemon, &daemon.ctr().image_digest(OTHER)?);
    let mut forged = serde_json::from_slice::<Value>(&fs::read(&file)?)?;
    forged["layers"][2] = manifest["layers"][1].clone();
    fs::write(&file, serde_json::to_vec(&forged)?)?;
    assert_has_no_base(&container)
}

/// The configuration of what was made on the base by somebody else.
#[test]
fn a_manifest_of_fewer_layers_than_its_configuration_is_nobodys_base() -> Result {
    let daemon = Daemon::start()?;
    mine("mine").import(&daemon, MINE)?;
    let container = changed(&daemon)?;
    let child = mine("mine").layer(vec![Entry::file("srv/child", "child")]);
    child.label("child").import(&daemon, OTHER)?;
    let mut forged = daemon.ctr().manifest(OTHER)?;
    forged["layers"].as_array_mut().expect("layers").pop();
    put(&daemon, serde_json::to_vec(&forged)?)?;
    daemon.ctr().run(&["images", "rm", "--sync", MINE])?;
    assert_has_no_base(&container)
}

#[test]
fn of_two_manifests_with_one_configuration_the_one_with_all_its_layers_is_the_base() -> Result {
    for labelled in [true, false] {
        for names in [[OTHER, TWIN], [TWIN, OTHER]] {
            commit_beside_one_that_lacks_a_layer(labelled, names)?;
        }
    }
    Ok(())
}

/// The order in which they are found is that of their digests, so each has to lack one in turn.
fn commit_beside_one_that_lacks_a_layer(labelled: bool, names: [&str; 2]) -> Result {
    let daemon = Daemon::start()?;
    let container = renamed(&daemon)?;
    import_twin(&daemon)?;
    if !labelled {
        remove_label(&daemon, TWIN)?;
    }
    let [lacking, whole] = names.map(|name| daemon.ctr().manifest(name));
    let (lacking, whole) = (lacking?, whole?);
    assert_eq!(lacking["config"]["digest"], whole["config"]["digest"]);
    daemon
        .ctr()
        .run(&["content", "rm", digest_of(&layers(&lacking)[0])])?;
    commit_by_layers(&container)?;
    assert_eq!(layers(&daemon.ctr().manifest(IMAGE)?)[..3], layers(&whole));
    Ok(())
}

fn import_twin(daemon: &Daemon) -> Result {
    let mut archive = mine("mine").archive_without_layers(TWIN, MANIFEST, CONFIG)?;
    for tar in mine("mine").tars()? {
        let zstd = zstd::encode_all(&tar[..], 3)?;
        archive.layer(Blob::new(
            "application/vnd.oci.image.layer.v1.tar+zstd",
            zstd,
        ));
    }
    archive.import(daemon.ctr())
}
