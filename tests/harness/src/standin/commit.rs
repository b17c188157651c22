//! The stand-in's `commit`: the stock way, step by step, with stock's failures.
//!
//! A global sync, the pause around everything, containerd's differ over both trees,
//! gzip, and unpacking the result again.

use super::StandIn;
use super::images::full_reference;
use super::options::{Options, is_true};
use super::run::state_folder;
use crate::Result;
use crate::oracle::{Source, Types};
use anyhow::{Context, bail};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use std::fs::{self, File};

const VALUES: &[&str] = &[
    "-a",
    "--author",
    "-m",
    "--message",
    "-c",
    "--change",
    "--compression",
    "--format",
];

const DOCKER: Types<'_> = Types {
    manifest: "application/vnd.docker.distribution.manifest.v2+json",
    config: "application/vnd.docker.container.image.v1+json",
    layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
};

const OCI: Types<'_> = Types {
    manifest: crate::image::MANIFEST,
    config: crate::image::CONFIG,
    layer: crate::image::LAYER_GZIP,
};

impl StandIn {
    pub fn commit(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, VALUES, false)?;
        let [container, reference] = &options.words[..] else {
            bail!("\"nerdctl commit\" requires exactly 2 argument(s).");
        };
        let info = self.inspect_one(container)?;
        let id = info["ID"].as_str().context("a container without an ID")?;
        let _lock = lock(id)?;
        let running = info["Process"]["Status"]["Status"] == "running";
        rustix::fs::sync();
        let pauses = running && options.either("--pause", "-p").is_none_or(is_true);
        let digest = self.paused(pauses, id, || self.commit_one(&info, reference, &options))?;
        println!("{digest}");
        Ok(0)
    }

    fn paused<T>(&self, pauses: bool, id: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if !pauses {
            return work();
        }
        self.ctr.run(&["tasks", "pause", id])?;
        let result = work();
        self.ctr.run(&["tasks", "resume", id])?;
        result
    }

    fn commit_one(&self, info: &Value, reference: &str, options: &Options) -> Result<String> {
        let word = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
        let source = Source {
            ctr: self.ctr.clone(),
            snapshotter: word("Snapshotter"),
            key: word("SnapshotKey"),
            image: word("Image"),
        };
        let diff = source.diff()?;
        if !diff.status.success() {
            bail!("{}", diff.error_text());
        }
        let types = if options.value("--format") == Some("oci") {
            OCI
        } else {
            DOCKER
        };
        let process = &info["Spec"]["process"]["args"];
        let image = source.compose(diff.stdout, &types, |config| edit(config, process, options))?;
        let digest = image.config_digest.clone();
        image
            .archive(&full_reference(reference))
            .import(&self.ctr)?;
        Ok(digest)
    }
}

/// nerdctl's lock, held as long as the file is open: one commit at a time, and none while it is removed.
fn lock(id: &str) -> Result<File> {
    let path = state_folder(id)?.join("oplock");
    fs::create_dir_all(&path)?;
    let directory = File::open(path)?;
    flock(&directory, FlockOperation::LockExclusive)?;
    Ok(directory)
}

/// What stock writes into the new config, and what the flags say about it. The time stays the base's.
fn edit(config: &mut Value, process: &Value, options: &Options) {
    if let Some(author) = options.either("--author", "-a") {
        config["author"] = author.into();
    }
    let words = process.as_array().into_iter().flatten();
    let words: Vec<_> = words.filter_map(Value::as_str).collect();
    let mut step = json!({
        "created": config["created"], "created_by": words.join(" "), "author": config["author"],
    });
    if let Some(message) = options.either("--message", "-m") {
        step["comment"] = message.into();
    }
    let history = config["history"].as_array_mut();
    if let Some(last) = history.and_then(|history| history.last_mut()) {
        *last = step;
    }
    for change in options.values("-c").chain(options.values("--change")) {
        let (directive, value) = change.split_once(' ').unwrap_or((change, "null"));
        let key = if directive == "CMD" {
            "Cmd"
        } else {
            "Entrypoint"
        };
        config["config"][key] = serde_json::from_str(value).unwrap_or(Value::Null);
    }
}
