//! The oracle: an image of a container made by containerd's own differ.
//!
//! The tree that it gives is the right one by definition. The container must stand
//! still (paused or stopped) or have nobody writing: the differ reads it as it is.

use crate::Result;
use crate::ctr::Ctr;
use crate::image::{Archive, Blob, CONFIG, LAYER_GZIP, MANIFEST, digest};
use crate::{Container, shell};
use anyhow::Context;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::io::Read;

/// Commits what `container` holds to `reference`, unpacked for overlayfs.
pub fn commit_by_oracle(container: &Container, reference: &str) -> Result {
    let info = container.info()?;
    let word = |key: &str| info[key].as_str().unwrap_or_default().to_owned();
    let source = Source {
        ctr: container.daemon().ctr().clone(),
        snapshotter: word("Snapshotter"),
        key: word("SnapshotKey"),
        image: word("Image"),
    };
    let layer = source.diff()?.succeeded()?.stdout;
    let types = Types {
        manifest: MANIFEST,
        config: CONFIG,
        layer: LAYER_GZIP,
    };
    source
        .compose(layer, &types, |_| ())?
        .archive(reference)
        .import(&source.ctr)
}

/// What a commit starts from.
pub struct Source {
    pub ctr: Ctr,
    pub snapshotter: String,
    pub key: String,
    pub image: String,
}

/// The three media types of an image.
pub struct Types<'a> {
    pub manifest: &'a str,
    pub config: &'a str,
    pub layer: &'a str,
}

/// An image that has everything but a name.
pub struct Composed {
    pub config_digest: String,
    config: Blob,
    layer: Blob,
    base_layers: Vec<Value>,
    manifest_type: String,
}

impl Source {
    /// containerd's differ over the snapshot and its parent; the layer is its output.
    pub fn diff(&self) -> Result<shell::Outcome> {
        let call = ["snapshots", "--snapshotter", &self.snapshotter, "diff"];
        self.ctr
            .outcome(&[&call[..], &["--media-type", LAYER_GZIP, &self.key]].concat())
    }

    /// The base image with `layer` on top, and a config that `edit` may change.
    pub fn compose(
        &self,
        layer: Vec<u8>,
        types: &Types,
        edit: impl FnOnce(&mut Value),
    ) -> Result<Composed> {
        let mut config = self.ctr.config(&self.image)?;
        let diff_id = Value::from(digest(&unzip(&layer)?));
        push(&mut config["rootfs"]["diff_ids"], diff_id)?;
        push(
            &mut config["history"],
            json!({"created_by": "containerd's differ"}),
        )?;
        edit(&mut config);
        let base_layers = self.ctr.manifest(&self.image)?["layers"].take();
        let config = Blob::new(types.config, serde_json::to_vec(&config)?);
        Ok(Composed {
            config_digest: config.digest.clone(),
            config,
            layer: Blob::new(types.layer, layer),
            base_layers: base_layers
                .as_array()
                .cloned()
                .context("the base has no layers")?,
            manifest_type: types.manifest.to_owned(),
        })
    }
}

impl Composed {
    pub fn archive(self, reference: &str) -> Archive {
        let mut archive = Archive::new(reference, &self.manifest_type);
        archive.config(self.config);
        self.base_layers
            .into_iter()
            .for_each(|layer| archive.known_layer(layer));
        archive.layer(self.layer);
        archive
    }
}

fn push(array: &mut Value, value: Value) -> Result {
    array
        .as_array_mut()
        .context("a config without that array")?
        .push(value);
    Ok(())
}

fn unzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut tar = Vec::new();
    MultiGzDecoder::new(bytes)
        .read_to_end(&mut tar)
        .context("unpacking a layer")?;
    Ok(tar)
}
