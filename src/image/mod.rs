//! The image: configuration, manifest, snapshot and record, in the order in which each may name the one before.
//!
//! Until the record exists nothing but the lease owns any of it.

pub mod changes;
mod config;
mod manifest;
mod replaced;

use std::collections::HashMap;

use anyhow::{Context, Result};
use containerd_client::types::Descriptor;

use crate::arguments::CommitArguments;
use crate::containerd::{Containerd, WrittenBlob, labels};
use crate::digest::chain_id;
use crate::layer::Layer;
use crate::plan::{DirectPlan, Subject};

/// All that an image is made from.
pub struct Parts<'a> {
    pub arguments: &'a CommitArguments,
    pub subject: &'a Subject,
    pub plan: &'a DirectPlan,
    pub layer: &'a Layer,
    /// The key of the snapshot that holds the layer's tree.
    pub snapshot_key: &'a str,
}

/// An image that exists.
pub struct Image {
    pub config_digest: String,
    pub manifest_digest: String,
    pub chain_id: String,
}

impl Parts<'_> {
    /// Writes the image; it exists when this returns, and not before.
    pub fn write(&self, containerd: &Containerd) -> Result<Image> {
        let snapshotter = &self.subject.snapshotter;
        let chain_id = chain_id(Some(&self.plan.parent), &self.layer.diff_id);
        containerd.commit_snapshot(snapshotter, self.snapshot_key, &chain_id)?;
        let config = self.write_config(containerd, &chain_id)?;
        let manifest = self.write_manifest(containerd, &config)?;
        let target = Descriptor {
            media_type: manifest::media_types(self.arguments.format)
                .manifest
                .to_owned(),
            digest: manifest.digest.clone(),
            size: i64::try_from(manifest.size)?,
            ..Default::default()
        };
        let reference = &self.arguments.reference;
        replaced::keep(containerd, snapshotter, reference)?;
        containerd.put_image(reference, &target)?;
        Ok(Image {
            config_digest: config.digest,
            manifest_digest: manifest.digest,
            chain_id,
        })
    }

    fn write_config(&self, containerd: &Containerd, chain_id: &str) -> Result<WrittenBlob> {
        let config = config::make(self);
        let label = labels::snapshot(&self.subject.snapshotter);
        let labels = HashMap::from([(label, chain_id.to_owned())]);
        containerd
            .put_blob(config.to_string().as_bytes(), labels)
            .context("writing the image's configuration")
    }

    fn write_manifest(&self, containerd: &Containerd, config: &WrittenBlob) -> Result<WrittenBlob> {
        let manifest = manifest::make(self, config)?;
        let contents = std::iter::once(manifest.config()).chain(manifest.layers());
        let labels = contents
            .enumerate()
            .map(|(index, content)| (labels::content(index), content.digest().to_string()));
        let labels = labels.collect();
        containerd
            .put_blob(&manifest::encode(&manifest)?, labels)
            .context("writing the image's manifest")
    }
}
