//! The base image: the configuration and the layers that the container's snapshot stands on.
//!
//! The snapshot decides, not the name: of the manifests that the image record leads to, the one whose chain ID is the
//! snapshot's parent; where the record is gone or was moved, any other of the content store that has it.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde_json::Value;

use super::Subject;
use crate::arguments::Environment;
use crate::containerd::Containerd;
use crate::digest::chain_id;

/// An index may hold indexes, and name itself among them.
const MOST_MANIFESTS: usize = 1000;

/// The image below the container's own changes.
pub struct BaseImage {
    /// As stored: nothing of it is lost that we do not know.
    pub config: Value,
    pub manifest_digest: String,
    pub layers: Vec<Descriptor>,
}

impl BaseImage {
    /// # Errors
    /// No manifest in the content store has the chain ID `parent`.
    pub fn find(containerd: &Containerd, subject: &Subject, parent: &str) -> Result<Self> {
        if let Some(image) = containerd.image(&subject.image)? {
            let target = image.target.unwrap_or_default().digest;
            if let Some(base) = Self::below(containerd, target, parent)? {
                return Ok(base);
            }
        }
        for manifest in manifests_with_chain(containerd, &subject.snapshotter, parent)? {
            if let Some(base) = Self::below(containerd, manifest, parent)? {
                return Ok(base);
            }
        }
        bail!(
            "the image that container {} was made from ({}) is no longer in the content store, nor is any other with its \
             layers: pull it again, or tag it with its old name",
            subject.id,
            subject.image
        )
    }

    /// The variables that its containers start with.
    pub fn environment(&self) -> Environment {
        let variables = self.config.pointer("/config/Env").and_then(Value::as_array);
        let variables = variables.into_iter().flatten().filter_map(Value::as_str);
        let pairs = variables.map(|variable| variable.split_once('=').unwrap_or((variable, "")));
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Follows a digest through indexes to the manifest whose layers make the chain ID `parent`.
    fn below(containerd: &Containerd, digest: String, parent: &str) -> Result<Option<Self>> {
        let mut waiting = vec![digest];
        for _ in 0..MOST_MANIFESTS {
            let Some(digest) = waiting.pop() else { break };
            let Some(bytes) = containerd.read_blob(&digest)? else {
                continue;
            };
            let value: Value = serde_json::from_slice(&bytes)
                .with_context(|| format!("reading manifest {digest}"))?;
            if value.get("manifests").is_some() {
                let index: ImageIndex = serde_json::from_value(value)
                    .with_context(|| format!("reading index {digest}"))?;
                let digests = index.manifests().iter().rev();
                waiting.extend(digests.map(|manifest| manifest.digest().to_string()));
            } else if let Ok(manifest) = serde_json::from_value::<ImageManifest>(value)
                && let Some(base) = Self::of_manifest(containerd, &digest, &manifest, parent)?
            {
                return Ok(Some(base));
            }
        }
        Ok(None)
    }

    fn of_manifest(
        containerd: &Containerd,
        digest: &str,
        manifest: &ImageManifest,
        parent: &str,
    ) -> Result<Option<Self>> {
        let config = manifest.config().digest().to_string();
        let Some(bytes) = containerd.read_blob(&config)? else {
            return Ok(None);
        };
        let config: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("reading image configuration {config}"))?;
        let diff_ids = diff_ids(&config);
        let chain = diff_ids.iter().fold(None, |parent: Option<String>, id| {
            Some(chain_id(parent.as_deref(), id))
        });
        if chain.as_deref() != Some(parent) {
            return Ok(None);
        }
        ensure!(
            diff_ids.len() == manifest.layers().len(),
            "manifest {digest} has {} layers, its configuration {}",
            manifest.layers().len(),
            diff_ids.len()
        );
        Ok(Some(Self {
            config,
            manifest_digest: digest.to_owned(),
            layers: manifest.layers().clone(),
        }))
    }
}

fn diff_ids(config: &Value) -> Vec<&str> {
    let ids = config.pointer("/rootfs/diff_ids").and_then(Value::as_array);
    ids.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// containerd labels a configuration with the snapshot it was unpacked to, and a manifest with its configuration.
fn manifests_with_chain(
    containerd: &Containerd,
    snapshotter: &str,
    chain: &str,
) -> Result<BTreeSet<String>> {
    let snapshot = format!("labels.\"containerd.io/gc.ref.snapshot.{snapshotter}\"==\"{chain}\"");
    let mut manifests = BTreeSet::new();
    for config in containerd.blobs_matching(snapshot)? {
        for label in ["config", "0"] {
            let filter = format!("labels.\"containerd.io/gc.ref.content.{label}\"==\"{config}\"");
            manifests.extend(containerd.blobs_matching(filter)?);
        }
    }
    Ok(manifests)
}
