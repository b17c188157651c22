//! Compression on all cores, or as many as are of use, of pieces that come one after the other.

use std::io::Write;
use std::sync::mpsc::Receiver;

use anyhow::Result;
use zstd::stream::write::Encoder;
use zstd::zstd_safe::CParameter;

use super::gzip;
use crate::arguments::Compression;
use crate::capture::workers;

/// Within 3 % of what stock's encoder makes of text, binaries and many small files; level 2 makes 12 % more of text.
const ZSTD_LEVEL: i32 = 3;
/// What a thread compresses at a time: with half of what zstd takes it needs half the memory, and makes 1 % more of text.
const ZSTD_JOB: u32 = 4 << 20;

/// Compresses all pieces into `output`.
pub fn compress<O: Write + Send>(
    pieces: Receiver<Vec<u8>>,
    output: O,
    compression: Compression,
) -> Result<O> {
    let threads = workers::most();
    match compression {
        Compression::Gzip => gzip::compress(pieces, output, threads),
        Compression::Zstd => zstd(pieces, output, threads),
    }
}

fn zstd<O: Write>(pieces: Receiver<Vec<u8>>, output: O, threads: usize) -> Result<O> {
    let mut encoder = Encoder::new(output, ZSTD_LEVEL)?;
    encoder.multithread(u32::try_from(threads)?)?;
    encoder.set_parameter(CParameter::JobSize(ZSTD_JOB))?;
    for piece in pieces {
        encoder.write_all(&piece)?;
    }
    Ok(encoder.finish()?)
}
