//! Images, written by the tests themselves.
//!
//! An `Image` is layers of `Entry`s over nothing, with a config; it becomes an OCI
//! archive that containerd imports and unpacks. `base` is the one that most
//! containers here run: busybox, the probe, and one of everything a tree can hold.

mod archive;
mod base;
mod layer;

pub use archive::{Archive, Blob, digest};
pub use base::base;
pub use layer::Entry;

use crate::{Daemon, Result};
use archive::gzip;
use serde_json::{Value, json};

/// The name under which every daemon has the base image.
pub const BASE: &str = "docker.io/library/base:latest";

pub const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

#[derive(Clone, Default)]
pub struct Image {
    layers: Vec<Vec<Entry>>,
}

impl Image {
    /// The same image with one more layer on top.
    pub fn layer(mut self, entries: Vec<Entry>) -> Self {
        self.layers.push(entries);
        self
    }

    /// Brings the image into the daemon, unpacked for overlayfs.
    pub fn import(&self, daemon: &Daemon, reference: &str) -> Result {
        self.archive(reference)?.import(daemon.ctr())
    }

    pub fn archive(&self, reference: &str) -> Result<Archive> {
        let tars: Vec<_> = self
            .layers
            .iter()
            .map(|one| layer::tar(one))
            .collect::<Result<_>>()?;
        let diff_ids: Vec<_> = tars.iter().map(|tar| digest(tar)).collect();
        let layers = tars.iter().map(|tar| Ok(Blob::new(LAYER_GZIP, gzip(tar)?)));
        let layers: Vec<Blob> = layers.collect::<Result<_>>()?;
        let config = Blob::new(CONFIG, serde_json::to_vec(&config(&diff_ids))?);
        let mut archive = Archive::new(reference, MANIFEST);
        archive.config(config);
        layers.into_iter().for_each(|layer| archive.layer(layer));
        Ok(archive)
    }
}

fn config(diff_ids: &[String]) -> Value {
    let history: Vec<_> = diff_ids
        .iter()
        .map(|_| json!({"created_by": "a test"}))
        .collect();
    json!({
        "created": "2020-01-02T03:04:05Z",
        "author": "the tests",
        "architecture": architecture(),
        "os": "linux",
        "config": {
            "Env": ["PATH=/bin:/sbin:/usr/bin:/usr/sbin", "GREETING=hello there"],
            "Cmd": ["/bin/sh"],
            "WorkingDir": "/",
            "Labels": {"from": "base"},
        },
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": history,
    })
}

/// The name that Go, and so every image, has for this machine.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
