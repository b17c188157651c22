//! The layer: the clone as a compressed tar archive in the content store.
//!
//! Written from the clone, which nobody else can touch, so that no file can grow or shrink under it. It is hashed on
//! both sides of the compressor and streamed; nothing of it is kept here.

mod archive;
mod compress;
mod entry;

use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::{Context, Result};

use crate::arguments::Compression;
use crate::containerd::Containerd;
use crate::digest::Sha256Digest;
use crate::system::signals;
use crate::system::tree::Tree;
use compress::Compressor;

/// What the image says about its uncompressed layer (containerd: core/images/labels).
const UNCOMPRESSED_LABEL: &str = "containerd.io/uncompressed";

/// A layer that is in the content store. `size` is that of the compressed blob, in bytes.
pub struct Layer {
    pub digest: String,
    pub size: u64,
    /// The digest of the uncompressed archive.
    pub diff_id: String,
    pub entries: u64,
}

/// Writes the tree as a layer, owned by the lease.
pub fn write(containerd: &Containerd, tree: &Tree, compression: Compression) -> Result<Layer> {
    let compressor = Compressor::new(containerd.blob_writer(), compression)?;
    let mut sink = Sink {
        digest: Sha256Digest::default(),
        compressor,
    };
    let entries = archive::write(tree, &mut sink).context("writing the layer")?;
    let diff_id = sink.digest.to_string();
    let labels = HashMap::from([(UNCOMPRESSED_LABEL.to_owned(), diff_id.clone())]);
    let blob = sink.compressor.complete()?.complete(labels)?;
    Ok(Layer {
        digest: blob.digest,
        size: blob.size,
        diff_id,
        entries,
    })
}

/// Where the archive's bytes go: through the hash into the compressor.
struct Sink {
    digest: Sha256Digest,
    compressor: Compressor,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        signals::check().map_err(io::Error::other)?;
        let count = self.compressor.write(bytes)?;
        self.digest.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
