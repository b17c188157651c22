//! Looking for the image whose layers make a chain ID, among the documents of the content store.
//!
//! A document that is absent, damaged, huge, or nothing of the kind is nobody's base, and stands in nobody's way.

use std::collections::BTreeSet;

use anyhow::Result;
use containerd_client::services::v1::Info;
use oci_spec::image::ImageManifest;
use serde_json::Value;

use super::{BaseImage, spelling};
use crate::containerd::{Containerd, labels};
use crate::digest::chain_id;
use crate::plan::document::words;

/// Indexes may hold indexes, and many.
const MOST_DOCUMENTS: usize = 100_000;
/// OCI distribution specification, "Pushing Manifests": what every registry takes.
const LARGEST_MANIFEST: i64 = 4 << 20;

/// A look for manifests whose layers make one chain ID.
pub struct Search<'a> {
    pub containerd: &'a Containerd,
    pub parent: &'a str,
    /// That of the container, which its commits have in their history.
    pub command_line: &'a str,
}

impl Search<'_> {
    /// What the image record `name` points to.
    pub fn recorded(&self, name: &str) -> Result<Option<String>> {
        if name.is_empty() {
            return Ok(None);
        }
        let target = self.containerd.image(name)?.and_then(|image| image.target);
        Ok(target.map(|target| target.digest))
    }

    /// containerd labels a configuration with the snapshot it was unpacked to, and a manifest with its configuration.
    pub fn labelled(&self, snapshotter: &str) -> Result<Vec<String>> {
        let snapshot = format!(
            "labels.{:?}=={:?}",
            labels::snapshot(snapshotter),
            self.parent
        );
        let mut filters = Vec::new();
        for config in self.containerd.blobs_matching(vec![snapshot])? {
            filters.extend(
                labels::CONFIG.map(|which| {
                    format!("labels.{:?}=={:?}", labels::content(which), config.digest)
                }),
            );
        }
        if filters.is_empty() {
            return Ok(Vec::new());
        }
        Ok(digests(self.containerd.blobs_matching(filters)?))
    }

    /// The manifest of an image of these layers and no more.
    pub fn whole(&self, snapshotter: &str) -> Result<Option<String>> {
        let images = self.images(self.labelled(snapshotter)?)?;
        let whole = images.into_iter().find(|image| !image.is_below_commit);
        Ok(whole.map(|image| image.manifest_digest))
    }

    /// Everything that may be a manifest, by its size and for want of a layer's label.
    pub fn conceivable(&self) -> Result<Vec<String>> {
        let mut blobs = self.containerd.blobs_matching(Vec::new())?;
        blobs.retain(|blob| {
            blob.size <= LARGEST_MANIFEST && !blob.labels.contains_key(labels::UNCOMPRESSED)
        });
        Ok(digests(blobs))
    }

    /// The images of these layers among `digests` and what their indexes lead to, in that order, with the lower parts of
    /// commits of the container.
    pub fn images(&self, mut waiting: Vec<String>) -> Result<Vec<BaseImage>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        waiting.reverse();
        while let Some(digest) = waiting.pop() {
            if seen.len() == MOST_DOCUMENTS || !seen.insert(digest.clone()) {
                continue;
            }
            let Some(document) = self.document(&digest)? else {
                continue;
            };
            match document.get("manifests").and_then(Value::as_array) {
                Some(manifests) => waiting.extend(manifests.iter().rev().filter_map(digest_of)),
                None => found.extend(self.of_manifest(digest, document)?),
            }
        }
        Ok(found)
    }

    /// `None` for what is no manifest, or not of these layers.
    fn of_manifest(&self, digest: String, document: Value) -> Result<Option<BaseImage>> {
        let Ok(manifest) = serde_json::from_value::<ImageManifest>(document) else {
            return Ok(None);
        };
        let Some(mut config) = self.document(manifest.config().digest().as_ref())? else {
            return Ok(None);
        };
        spelling::correct(&mut config);
        let mut layers = manifest.layers().clone();
        let diff_ids = diff_ids(&config);
        let Some(depth) = depth_of(self.parent, &diff_ids) else {
            return Ok(None);
        };
        let is_whole = depth == layers.len();
        let is_below_commit = layers.len() == depth + 1 && self.has_committed(&config);
        // What else was put on top of it has another program's configuration.
        if diff_ids.len() != layers.len() || !(is_whole || is_below_commit) {
            return Ok(None);
        }
        // Some have more steps in their history than layers.
        if is_below_commit {
            layers.truncate(depth);
            truncate(&mut config, depth);
        }
        Ok(Some(BaseImage {
            config,
            manifest_digest: digest,
            layers,
            is_below_commit,
            // Not known of one by itself.
            named_by: None,
        }))
    }

    /// Whether the last step of a configuration's history looks like a commit of the container, ours or stock's.
    fn has_committed(&self, config: &Value) -> bool {
        let steps = config.get("history").and_then(Value::as_array);
        let last = steps.and_then(|steps| steps.last()?.get("created_by")?.as_str());
        last == Some(self.command_line)
    }

    /// `None` where the content store lacks it, or it is damaged, or not JSON.
    fn document(&self, digest: &str) -> Result<Option<Value>> {
        let bytes = self.containerd.read_blob(digest)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }
}

pub fn digest_of(descriptor: &Value) -> Option<String> {
    Some(descriptor.get("digest")?.as_str()?.to_owned())
}

pub fn diff_ids(config: &Value) -> Vec<&str> {
    words(config, "/rootfs/diff_ids")
}

/// How many of the layers, from the lowest, make the chain ID `chain`.
pub fn depth_of(chain: &str, diff_ids: &[&str]) -> Option<usize> {
    let mut below: Option<String> = None;
    diff_ids.iter().zip(1..).find_map(|(id, depth)| {
        let next = chain_id(below.as_deref(), id);
        let found = next == chain;
        below = Some(next);
        found.then_some(depth)
    })
}

/// Takes the layers above `depth` out of a configuration, with the steps of history that made them.
pub fn truncate(config: &mut Value, depth: usize) {
    if let Some(Value::Array(ids)) = config.pointer_mut("/rootfs/diff_ids") {
        ids.truncate(depth);
    }
    let Some(Value::Array(steps)) = config.get_mut("history") else {
        return;
    };
    let mut layers = 0;
    steps.retain(|step| {
        layers += usize::from(step.get("empty_layer") != Some(&Value::Bool(true)));
        layers <= depth
    });
}

fn digests(blobs: Vec<Info>) -> Vec<String> {
    blobs.into_iter().map(|blob| blob.digest).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lower_layers_of_an_image_are_found_by_their_chain_id() {
        let two = chain_id(Some("sha256:a"), "sha256:b");
        let ids = ["sha256:a", "sha256:b", "sha256:c"];
        assert_eq!(depth_of("sha256:a", &ids), Some(1));
        assert_eq!(depth_of(&two, &ids), Some(2));
        assert_eq!(depth_of(&two, &ids[..1]), None);
        assert_eq!(depth_of("", &[]), None);
    }

    #[test]
    fn history_is_cut_where_the_layers_are() {
        let empty = json!({"empty_layer": true});
        let steps = [json!({}), empty.clone(), json!({}), empty, json!({})];
        let whole = json!({"rootfs": {"diff_ids": ["a", "b", "c"]}, "history": steps});
        for (depth, left) in [(3, 5), (2, 4), (1, 2)] {
            let mut config = whole.clone();
            truncate(&mut config, depth);
            assert_eq!(diff_ids(&config).len(), depth);
            assert_eq!(config["history"].as_array().map(Vec::len), Some(left));
        }
    }
}
