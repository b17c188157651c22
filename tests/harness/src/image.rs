//! Images, written by the tests themselves.
//!
//! An `Image` is layers of `Entry`s over nothing, with a config; it becomes an OCI
//! archive that containerd imports and unpacks. `base` is the one that most
//! containers here run: busybox, the probe, and one of everything a tree can hold.

mod archive;
mod base;
mod layer;

pub use archive::{Archive, Blob, Index, digest, gzip};
pub use base::base;
pub use layer::Entry;

use crate::{Daemon, Result};
use serde_json::{Value, json};

/// The name under which every daemon has the base image.
pub const BASE: &str = "docker.io/library/base:latest";

pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(Clone, Default)]
pub struct Image {
    layers: Vec<Vec<Entry>>,
    command: Option<Vec<String>>,
    label: Option<String>,
    architecture: Option<String>,
    created: Option<String>,
    edit: Option<fn(&mut Value)>,
}

impl Image {
    /// The same image with one more layer on top.
    pub fn layer(mut self, entries: Vec<Entry>) -> Self {
        self.layers.push(entries);
        self
    }

    /// The same image that runs `words` unless told otherwise, and not a shell.
    pub fn command(mut self, words: &[&str]) -> Self {
        self.command = Some(words.iter().map(ToString::to_string).collect());
        self
    }

    /// The same image with this as its only label, `from`.
    pub fn label(mut self, value: &str) -> Self {
        self.label = Some(value.to_owned());
        self
    }

    /// The same image for another architecture, as far as it says.
    pub fn architecture(mut self, name: &str) -> Self {
        self.architecture = Some(name.to_owned());
        self
    }

    /// The same image that says it was made then.
    pub fn created(mut self, time: &str) -> Self {
        self.created = Some(time.to_owned());
        self
    }

    /// The same image with its config changed so.
    pub fn configured(mut self, edit: fn(&mut Value)) -> Self {
        self.edit = Some(edit);
        self
    }

    /// Brings the image into the daemon, unpacked for overlayfs.
    pub fn import(&self, daemon: &Daemon, reference: &str) -> Result {
        self.archive(reference)?.import(daemon.ctr())
    }

    pub fn archive(&self, reference: &str) -> Result<Archive> {
        let mut archive = self.archive_without_layers(reference, MANIFEST, CONFIG)?;
        for tar in self.tars()? {
            archive.layer(Blob::new(LAYER_GZIP, gzip(&tar)?));
        }
        Ok(archive)
    }

    /// An archive to which the layers have yet to be added, in whatever form.
    pub fn archive_without_layers(
        &self,
        reference: &str,
        manifest_type: &str,
        config_type: &str,
    ) -> Result<Archive> {
        let diff_ids: Vec<_> = self.tars()?.iter().map(|tar| digest(tar)).collect();
        let config = serde_json::to_vec(&self.config(&diff_ids))?;
        let mut archive = Archive::new(reference, manifest_type);
        archive.config(Blob::new(config_type, config));
        Ok(archive)
    }

    /// The layers, uncompressed.
    pub fn tars(&self) -> Result<Vec<Vec<u8>>> {
        self.layers.iter().map(|one| layer::tar(one)).collect()
    }

    fn config(&self, diff_ids: &[String]) -> Value {
        let command = self.command.clone();
        let history: Vec<_> = diff_ids
            .iter()
            .map(|_| json!({"created_by": "a test"}))
            .collect();
        let mut config = json!({
            "created": self.created.as_deref().unwrap_or("2020-01-02T03:04:05Z"),
            "author": "the tests",
            "architecture": self.architecture.as_deref().unwrap_or(architecture()),
            "os": "linux",
            "config": {
                "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin", "GREETING=hello there"],
                "Cmd": command.unwrap_or_else(|| vec!["/bin/sh".to_owned()]),
                "WorkingDir": "/",
                "Labels": {"from": self.label.as_deref().unwrap_or("base")},
            },
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        if let Some(edit) = self.edit {
            edit(&mut config);
        }
        config
    }
}

/// The name that Go, and so every image, has for this machine.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
