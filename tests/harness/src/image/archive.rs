//! OCI archives: blobs, the manifest that names them, and an index of one or of many.
//!
//! An archive may leave out blobs that containerd has already (`known_layer`), so an
//! image on top of another carries its own layer only; an index of many may name
//! manifests that it leaves out.

use crate::Result;
use crate::ctr::Ctr;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;

pub struct Blob {
    pub media_type: String,
    pub digest: String,
    pub bytes: Vec<u8>,
}

impl Blob {
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: digest(&bytes),
            bytes,
        }
    }

    pub fn descriptor(&self) -> Value {
        let (media_type, digest, size) = (&self.media_type, &self.digest, self.bytes.len());
        json!({"mediaType": media_type, "digest": digest, "size": size})
    }
}

pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

pub struct Archive {
    reference: String,
    manifest: Value,
    blobs: Vec<Blob>,
}

impl Archive {
    pub fn new(reference: &str, media_type: &str) -> Self {
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "layers": []});
        Self {
            reference: reference.to_owned(),
            manifest,
            blobs: Vec::new(),
        }
    }

    pub fn config(&mut self, blob: Blob) {
        self.manifest["config"] = blob.descriptor();
        self.blobs.push(blob);
    }

    pub fn layer(&mut self, blob: Blob) {
        self.known_layer(blob.descriptor());
        self.blobs.push(blob);
    }

    /// A layer whose descriptor says more than it has to.
    pub fn described_layer(&mut self, blob: Blob, more: &[(&str, Value)]) {
        let mut descriptor = blob.descriptor();
        for (name, value) in more {
            descriptor[name] = value.clone();
        }
        self.known_layer(descriptor);
        self.blobs.push(blob);
    }

    /// A layer that containerd's store holds already.
    pub fn known_layer(&mut self, descriptor: Value) {
        if let Some(layers) = self.manifest["layers"].as_array_mut() {
            layers.push(descriptor);
        }
    }

    /// Imports and unpacks it, for the default snapshotter.
    pub fn import(self, ctr: &Ctr) -> Result {
        let tar = self.into_tar()?;
        ctr.feed(&["images", "import", "-"], &tar)
    }

    pub fn into_tar(self) -> Result<Vec<u8>> {
        let reference = self.reference.clone();
        let (manifest, blobs) = self.into_blobs()?;
        tar_of(&reference, &manifest, &blobs)
    }

    /// The manifest, and what it names.
    fn into_blobs(self) -> Result<(Blob, Vec<Blob>)> {
        let media_type = self.manifest["mediaType"].as_str().unwrap_or_default();
        let manifest = Blob::new(media_type, serde_json::to_vec_pretty(&self.manifest)?);
        Ok((manifest, self.blobs))
    }
}

/// An index of manifests for several platforms.
#[derive(Default)]
pub struct Index {
    manifests: Vec<Value>,
    blobs: Vec<Blob>,
}

impl Index {
    pub fn with(mut self, architecture: &str, archive: Archive) -> Result<Self> {
        let (manifest, blobs) = archive.into_blobs()?;
        self = self.without(architecture, &manifest);
        self.blobs.extend(blobs);
        self.blobs.push(manifest);
        Ok(self)
    }

    /// A manifest that is named only, as a pull for one platform leaves the others.
    pub fn without(mut self, architecture: &str, manifest: &Blob) -> Self {
        let mut descriptor = manifest.descriptor();
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        self.manifests.push(descriptor);
        self
    }

    /// Imports it with what is there of all platforms, or of the machine's own.
    pub fn import(self, ctr: &Ctr, reference: &str, all: bool) -> Result {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.manifests});
        let index = Blob::new(INDEX, serde_json::to_vec(&index)?);
        let tar = tar_of(reference, &index, &self.blobs)?;
        let flag: &[&str] = if all { &["--all-platforms"] } else { &[] };
        ctr.feed(&[&["images", "import"], flag, &["-"]].concat(), &tar)
    }
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// An archive whose image `reference` is `target`.
fn tar_of(reference: &str, target: &Blob, blobs: &[Blob]) -> Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    let outermost = serde_json::to_vec(&index(target, reference))?;
    append(&mut tar, "index.json", &outermost)?;
    for blob in blobs.iter().chain([target]) {
        let name = format!("blobs/{}", blob.digest.replace(':', "/"));
        append(&mut tar, &name, &blob.bytes)?;
    }
    Ok(tar.into_inner()?)
}

fn index(target: &Blob, reference: &str) -> Value {
    let mut descriptor = target.descriptor();
    descriptor["annotations"] = json!({"io.containerd.image.name": reference});
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor]})
}

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> Result {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    Ok(tar.append_data(&mut header, name, bytes)?)
}
