//! The layer: the clone as a compressed tar archive in the content store.
//!
//! Written from the clone, which nobody else can touch, so that no file can grow or shrink under it. Every byte is read
//! once; it is hashed on both sides of the compressor on its way into the store, and nothing of it is kept here.

pub mod archive;
pub mod deflate;
mod entry;
mod guarded;
mod gzip;
mod in_order;
mod pieces;
mod pipeline;
mod records;
mod write_back;
mod zstd;

use std::collections::HashMap;

use anyhow::{Context, Result};

use crate::arguments::Compression;
use crate::capture::scan::Scan;
use crate::capture::{Captured, size};
use crate::containerd::{Containerd, labels};
use crate::system::sync::DiskSync;
use guarded::Guarded;
use pipeline::Written;
use write_back::WriteBack;

/// A layer that is in the content store. `size` is that of the compressed blob, in bytes.
pub struct Layer {
    pub digest: String,
    pub size: u64,
    /// The digest of the uncompressed archive.
    pub diff_id: String,
    pub entries: u64,
}

/// Writes what was captured as a layer, owned by the lease. Meanwhile its tree is written to disk, which may go on after
/// this.
pub fn write(
    containerd: &Containerd,
    captured: &Captured,
    compression: Compression,
) -> Result<(Layer, DiskSync)> {
    let Captured { tree, room, .. } = captured;
    let blob = Guarded::new(containerd.blob_writer(), room);
    let written = pipeline::run(blob, compression, |sink| {
        let scan = Scan::of(tree)?;
        size::check(tree, &scan)?;
        let mut write_back = WriteBack::of(tree, &scan)?;
        let entries = archive::write(tree, &scan, sink, &mut |node| write_back.has_read(node))?;
        Ok((entries, write_back.rest()?))
    });
    let ((entries, write_back), Written { digest, output }) =
        written.context("writing the layer")?;
    let labels = HashMap::from([(labels::UNCOMPRESSED.to_owned(), digest.clone())]);
    let blob = output.into_inner().complete(labels)?;
    let layer = Layer {
        digest: blob.digest,
        size: blob.size,
        diff_id: digest,
        entries,
    };
    Ok((layer, write_back))
}
