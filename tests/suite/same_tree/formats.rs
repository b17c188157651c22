//! The documents around the tree: layer, configuration, manifest and their labels are
//! nerdctl's, in both formats and both compressions.

use super::OURS;
use crate::FREEZEFRAME;
use flate2::bufread::GzDecoder;
use harness::image::digest;
use harness::{BASE, Commit, Container, Daemon, Result, View, chain_id};
use serde_json::Value;
use std::io::Read;
use std::process::Command;

const DOCKER_GZIP: [&str; 3] = [
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
];
const DOCKER_ZSTD: [&str; 3] = [
    DOCKER_GZIP[0],
    DOCKER_GZIP[1],
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];
const OCI_GZIP: [&str; 3] = [
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip",
];
const OCI_ZSTD: [&str; 3] = [
    OCI_GZIP[0],
    OCI_GZIP[1],
    "application/vnd.oci.image.layer.v1.tar+zstd",
];

#[test]
fn every_format_and_compression_has_nerdctls_documents_around_the_same_tree() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    // Enough for several frames of zstd.
    container
        .shell("for copy in $(seq 12); do cp /bin/busybox /srv/$copy; done; rm -r /srv/many")?;
    let now = now()?;
    check(&container, &[], &DOCKER_GZIP, &now)?;
    check(&container, &["--compression=zstd"], &DOCKER_ZSTD, &now)?;
    check(&container, &["--format=oci"], &OCI_GZIP, &now)?;
    let flags = ["--format", "oci", "--compression", "zstd"];
    check(&container, &flags, &OCI_ZSTD, &now)
}

fn check(container: &Container, flags: &[&str], types: &[&str; 3], earlier: &str) -> Result {
    let daemon = container.daemon();
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, OURS, flags)?.succeeded()?;
    let manifest = manifest_of(daemon, &commit, types)?;
    check_layer(daemon, &commit, &manifest)?;
    check_config(daemon, &commit, earlier)?;
    check_labels(daemon, &commit, types[0])?;
    // containerd 1.6 cannot unpack what has Docker's type for zstd, stock's images no more than ours.
    if *types != DOCKER_ZSTD {
        let (ours, unpacked) = (View::snapshot(daemon, OURS)?, View::unpacked(daemon, OURS)?);
        ours.tree()?.assert_same(&unpacked.tree()?, types[2]);
    }
    Ok(())
}

/// The base's descriptors as they were, then ours; indented by four spaces.
fn manifest_of(daemon: &Daemon, commit: &Commit, types: &[&str; 3]) -> Result<Value> {
    let target = daemon.ctr().image_digest(OURS)?;
    assert_eq!(commit.report["manifest_digest"], target);
    let bytes = daemon.ctr().blob(&target)?;
    assert!(bytes.starts_with(b"{\n    \"schemaVersion\": 2"));
    let manifest: Value = serde_json::from_slice(&bytes)?;
    let base = daemon.ctr().manifest(BASE)?;
    let layers = manifest["layers"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(layers[..2], base["layers"].as_array().unwrap()[..]);
    assert_eq!(layers.len(), 3);
    let found = [&manifest, &manifest["config"], &layers[2]];
    assert_eq!(found.map(|one| one["mediaType"].as_str().unwrap()), *types);
    for one in [&manifest["config"], &layers[2]] {
        let name = one["digest"].as_str().unwrap();
        let blob = daemon.ctr().blob(name)?;
        assert_eq!(name, digest(&blob));
        assert_eq!(one["size"], blob.len());
    }
    Ok(manifest)
}

/// Uncompressed it is what the diff ID says; gzip is one member and nothing after it.
fn check_layer(daemon: &Daemon, commit: &Commit, manifest: &Value) -> Result {
    let descriptor = &manifest["layers"][2];
    let layer = daemon.ctr().blob(descriptor["digest"].as_str().unwrap())?;
    assert_eq!(commit.report["layer_digest"], descriptor["digest"]);
    let tar = if layer.starts_with(&[0x1f, 0x8b]) {
        one_member(&layer)?
    } else {
        zstd::decode_all(layer.as_slice())?
    };
    assert_eq!(commit.report["diff_id"], digest(&tar));
    assert!(tar.len() > layer.len());
    Ok(())
}

fn one_member(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut decoder = GzDecoder::new(bytes);
    let mut content = Vec::new();
    decoder.read_to_end(&mut content)?;
    let rest = decoder.into_inner();
    assert!(
        rest.is_empty(),
        "{} bytes after the first member",
        rest.len()
    );
    Ok(content)
}

fn check_config(daemon: &Daemon, commit: &Commit, earlier: &str) -> Result {
    let name = commit.report["config_digest"].as_str().unwrap_or_default();
    assert_eq!(commit.outcome.stdout, format!("{name}\n").into_bytes());
    let bytes = daemon.ctr().blob(name)?;
    assert!(!bytes.contains(&b'\n'), "it is not compact");
    let (config, base) = (daemon.ctr().config(OURS)?, daemon.ctr().config(BASE)?);
    assert_eq!(serde_json::from_slice::<Value>(&bytes)?, config);
    for kept in ["architecture", "os", "author", "config"] {
        assert_eq!(config[kept], base[kept]);
    }
    let created = config["created"].as_str().unwrap_or_default();
    // Cut to the second, as the clock that we read is.
    let second = created.get(..earlier.len()).unwrap_or_default();
    assert!(earlier <= second && *second <= *now()?, "{created}");
    let diff_id = &commit.report["diff_id"];
    assert_one_more(&config, &base, "/rootfs/diff_ids", diff_id);
    let step = serde_json::json!({
        "created": created, "created_by": "sleep 1000", "author": "the tests",
    });
    assert_one_more(&config, &base, "/history", &step);
    Ok(())
}

/// A list of the base's, and one of ours after it.
fn assert_one_more(config: &Value, base: &Value, pointer: &str, ours: &Value) {
    let list = |of: &Value| of.pointer(pointer).and_then(Value::as_array).cloned();
    let mut expected = list(base).unwrap_or_default();
    expected.push(ours.clone());
    assert_eq!(list(config), Some(expected), "{pointer}");
}

fn check_labels(daemon: &Daemon, commit: &Commit, manifest_type: &str) -> Result {
    let word = |key: &str| commit.report[key].as_str().unwrap_or_default();
    let chain = chain_id(daemon, OURS)?;
    assert_eq!(word("chain_id"), chain);
    let snapshot = format!("containerd.io/gc.ref.snapshot.overlayfs={chain}");
    assert_eq!(labels(daemon, word("config_digest"))?, [snapshot]);
    let layer = labels(daemon, word("layer_digest"))?;
    let diff_id = format!("containerd.io/uncompressed={}", word("diff_id"));
    assert!(layer.contains(&diff_id), "{layer:?}");
    let manifest = daemon.ctr().manifest(OURS)?;
    let layers = manifest["layers"].as_array().into_iter().flatten();
    let content = std::iter::once(&manifest["config"]).chain(layers);
    let content = content.map(|one| one["digest"].as_str().unwrap_or_default());
    let content = content.enumerate();
    let expected: Vec<_> = content
        .map(|(index, digest)| format!("containerd.io/gc.ref.content.{index}={digest}"))
        .collect();
    assert_eq!(labels(daemon, word("manifest_digest"))?, expected);
    check_record(daemon, manifest_type)
}

/// Sorted, as ctr lists them after digest, size, unit and three words of age.
fn labels(daemon: &Daemon, digest: &str) -> Result<Vec<String>> {
    let blobs = daemon.ctr().list(&["content", "ls"])?;
    let line = blobs.iter().find(|line| line.starts_with(digest));
    let last = line.and_then(|line| line.split_whitespace().last());
    let mut labels: Vec<_> = last
        .unwrap_or_default()
        .split(',')
        .map(str::to_owned)
        .collect();
    labels.sort();
    Ok(labels)
}

/// The image's record: its type is the manifest's, and it has no labels.
fn check_record(daemon: &Daemon, manifest_type: &str) -> Result {
    let images = daemon
        .ctr()
        .list(&["images", "ls", &format!("name=={OURS}")])?;
    let words: Vec<_> = images[0].split_whitespace().collect();
    assert_eq!(
        (words[1], words.last()),
        (manifest_type, Some(&"-")),
        "{images:?}"
    );
    Ok(())
}

/// As an image's configuration writes it, up to the second.
fn now() -> Result<String> {
    let mut date = Command::new("date");
    Ok(harness::outcome(date.args(["-u", "+%Y-%m-%dT%H:%M:%S"]))?.text())
}
