//! The content store: where it is, reading small blobs, and what becomes of a blob that was there before us.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use containerd_client::services::v1::{
    Info, InfoRequest, ListContentRequest, ListStatusesRequest, PluginsRequest, ReadContentRequest,
    UpdateRequest, content_client::ContentClient, introspection_client::IntrospectionClient,
};
use prost_types::FieldMask;
use tonic::Code;
use tonic::transport::Channel;

use super::blob_writer::WrittenBlob;
use super::{Containerd, LARGEST_MESSAGE, absent_is_none, required};
use crate::digest::Sha256Digest;

/// The store and its index, which say where it is and whether namespaces share it.
const PLUGIN_FILTERS: [&str; 2] = [
    "type==io.containerd.content.v1",
    "type==io.containerd.metadata.v1",
];
/// containerd's docs/man/containerd-config.toml.5.md, `content_sharing_policy`.
const ISOLATED: &str = "isolated";
/// Manifests and configurations only.
const LARGEST_BLOB_READ: i64 = 16 << 20;

impl Containerd {
    /// What the store knows of a blob; nothing where it lacks it, or `digest` is none.
    pub fn blob_info(&self, digest: &str) -> Result<Option<Info>> {
        let request = self.request(InfoRequest {
            digest: digest.to_owned(),
        });
        let answer = match self.call(self.content().info(request)) {
            Err(error) if error.is(Code::InvalidArgument) => return Ok(None),
            answer => answer,
        };
        Ok(absent_is_none(answer)
            .with_context(|| format!("looking up blob {digest}"))?
            .and_then(|response| response.info))
    }

    /// A small blob's bytes, or `None` where the store does not have it whole and sound, or it is not small.
    pub fn read_blob(&self, digest: &str) -> Result<Option<Vec<u8>>> {
        let Some(info) = self.blob_info(digest)? else {
            return Ok(None);
        };
        if info.size > LARGEST_BLOB_READ {
            return Ok(None);
        }
        let request = self.request(ReadContentRequest {
            digest: digest.to_owned(),
            ..Default::default()
        });
        let mut client = self.content();
        let bytes = self.wait(async {
            let mut parts = client.read(request).await?.into_inner();
            let mut bytes = Vec::new();
            while let Some(part) = parts.message().await? {
                bytes.extend(part.data);
            }
            Ok(bytes)
        });
        let bytes = absent_is_none(bytes).with_context(|| format!("reading blob {digest}"))?;
        Ok(bytes.filter(|bytes| is_sound(digest, bytes)))
    }

    /// The blobs that match any of `filters` (pkg/filters of containerd's source); without filters, all.
    pub fn blobs_matching(&self, filters: Vec<String>) -> Result<Vec<Info>> {
        let request = self.request(ListContentRequest { filters });
        let mut client = self.content();
        self.wait(async {
            let mut answers = client.list(request).await?.into_inner();
            let mut blobs = Vec::new();
            while let Some(answer) = answers.message().await? {
                blobs.extend(answer.info);
            }
            Ok(blobs)
        })
        .context("searching the content store")
    }

    /// How many bytes have come of those of `blobs` that are just being fetched, whoever fetches them: its reference ends in
    /// the digest then (core/remotes/handlers.go of containerd's source, `MakeRefKey`).
    pub fn bytes_arriving(&self, blobs: &[&str]) -> Result<i64> {
        let request = self.request(ListStatusesRequest::default());
        let answer = self.call(self.content().list_statuses(request));
        let answer = answer.context("looking at what is being written into the content store")?;
        let is_wanted = |reference: &str| blobs.iter().any(|blob| reference.ends_with(blob));
        let wanted = answer
            .statuses
            .iter()
            .filter(|status| is_wanted(&status.r#ref));
        Ok(wanted.map(|status| status.offset).sum())
    }

    /// Writes a small blob whole.
    pub fn put_blob(&self, bytes: &[u8], labels: HashMap<String, String>) -> Result<WrittenBlob> {
        let mut writer = self.blob_writer();
        writer.push(bytes)?;
        writer.complete(labels)
    }

    /// A blob that was there before us gets the lease, and the labels that it lacks.
    pub(super) fn adopt_blob(&self, digest: &str, labels: HashMap<String, String>) -> Result<()> {
        self.lease_content(digest)?;
        let info = required(self.blob_info(digest)?, "content information")?;
        let missing: HashMap<_, _> = labels
            .into_iter()
            .filter(|(name, value)| info.labels.get(name) != Some(value))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let paths = missing.keys().map(|name| format!("labels.{name}"));
        let request = self.request(UpdateRequest {
            update_mask: Some(FieldMask {
                paths: paths.collect(),
            }),
            info: Some(Info {
                digest: digest.to_owned(),
                labels: missing,
                ..Default::default()
            }),
        });
        self.call(self.content().update(request))
            .with_context(|| format!("labelling blob {digest}"))?;
        Ok(())
    }

    /// Where the daemon's own store has its blobs; nothing where it has another, or where a namespace does not take over
    /// what lies there.
    pub(super) fn blob_directory(&self) -> Result<Option<PathBuf>> {
        let filters = PLUGIN_FILTERS.map(str::to_owned).to_vec();
        let request = self.request(PluginsRequest { filters });
        let mut client = IntrospectionClient::new(self.channel.clone());
        let plugins = match self.call(client.plugins(request)) {
            Err(error) if error.is(Code::Unimplemented) => return Ok(None),
            answer => {
                let answer = answer.context("asking containerd where its content store is")?;
                answer.plugins
            }
        };
        let export = |name| plugins.iter().find_map(|plugin| plugin.exports.get(name));
        if export("policy").is_some_and(|policy| policy == ISOLATED) {
            return Ok(None);
        }
        Ok(export("root").map(|root| Path::new(root).join("blobs/sha256")))
    }

    pub(super) fn content(&self) -> ContentClient<Channel> {
        ContentClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }
}

/// Whether a blob is what its name says, as far as the name is a SHA-256 digest.
fn is_sound(digest: &str, bytes: &[u8]) -> bool {
    !digest.starts_with("sha256:") || Sha256Digest::of(bytes).to_string() == digest
}
