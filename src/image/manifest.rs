//! The image manifest: OCI image specification, manifest.md, or Docker's image manifest version 2, schema 2.

use std::str::FromStr;

use anyhow::{Context, Result};
use oci_spec::image::{
    Descriptor, Digest, ImageManifest, ImageManifestBuilder, MediaType, SCHEMA_VERSION,
};
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::Parts;
use crate::arguments::{Compression, Format};
use crate::containerd::WrittenBlob;

/// nerdctl's.
const INDENT: &[u8] = b"    ";

/// The types of an image's parts in one format.
pub struct MediaTypes {
    pub manifest: &'static str,
    config: &'static str,
    gzip_layer: &'static str,
    zstd_layer: &'static str,
}

pub fn media_types(format: Format) -> MediaTypes {
    match format {
        Format::Docker => MediaTypes {
            manifest: "application/vnd.docker.distribution.manifest.v2+json",
            config: "application/vnd.docker.container.image.v1+json",
            gzip_layer: "application/vnd.docker.image.rootfs.diff.tar.gzip",
            zstd_layer: "application/vnd.docker.image.rootfs.diff.tar.zstd",
        },
        Format::Oci => MediaTypes {
            manifest: "application/vnd.oci.image.manifest.v1+json",
            config: "application/vnd.oci.image.config.v1+json",
            gzip_layer: "application/vnd.oci.image.layer.v1.tar+gzip",
            zstd_layer: "application/vnd.oci.image.layer.v1.tar+zstd",
        },
    }
}

/// The base image's layers, as they were described, and ours.
pub fn make(parts: &Parts, config: &WrittenBlob) -> Result<ImageManifest> {
    let types = media_types(parts.arguments.format);
    let layer_type = match parts.arguments.compression {
        Compression::Gzip => types.gzip_layer,
        Compression::Zstd => types.zstd_layer,
    };
    let mut layers = parts.plan.base.layers.clone();
    layers.push(descriptor(
        layer_type,
        &parts.layer.digest,
        parts.layer.size,
    )?);
    ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::from(types.manifest))
        .config(descriptor(types.config, &config.digest, config.size)?)
        .layers(layers)
        .build()
        .context("making the image's manifest")
}

pub fn encode(manifest: &ImageManifest) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(INDENT);
    manifest.serialize(&mut Serializer::with_formatter(&mut bytes, formatter))?;
    Ok(bytes)
}

fn descriptor(media_type: &str, digest: &str, size: u64) -> Result<Descriptor> {
    let digest = Digest::from_str(digest).with_context(|| format!("reading digest {digest}"))?;
    Ok(Descriptor::new(MediaType::from(media_type), size, digest))
}
