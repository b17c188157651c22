//! OCI archives: blobs, the manifest that names them, and an index of one.
//!
//! An archive may leave out blobs that containerd has already (`known_layer`), so an
//! image on top of another carries its own layer only.

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

    fn descriptor(&self) -> Value {
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

    pub fn into_tar(mut self) -> Result<Vec<u8>> {
        let media_type = self.manifest["mediaType"].as_str().unwrap_or_default();
        let manifest = Blob::new(media_type, serde_json::to_vec_pretty(&self.manifest)?);
        let index = index(&manifest, &self.reference);
        self.blobs.push(manifest);
        let mut tar = tar::Builder::new(Vec::new());
        append(&mut tar, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        append(&mut tar, "index.json", &serde_json::to_vec(&index)?)?;
        for blob in &self.blobs {
            append(
                &mut tar,
                &format!("blobs/{}", blob.digest.replace(':', "/")),
                &blob.bytes,
            )?;
        }
        Ok(tar.into_inner()?)
    }
}

fn index(manifest: &Blob, reference: &str) -> Value {
    let mut descriptor = manifest.descriptor();
    descriptor["annotations"] = json!({"io.containerd.image.name": reference});
    let media_type = "application/vnd.oci.image.index.v1+json";
    json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [descriptor]})
}

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> Result {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    Ok(tar.append_data(&mut header, name, bytes)?)
}
