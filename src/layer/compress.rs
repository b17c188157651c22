//! Compression on all cores, or as many as are of use, of pieces that come one after the other.

use std::io::Write;
use std::sync::mpsc::Receiver;

use anyhow::Result;

use super::{gzip, zstd};
use crate::arguments::Compression;
use crate::system::workers;

/// Compresses all pieces into `output`.
pub fn compress<O: Write + Send>(
    pieces: Receiver<Vec<u8>>,
    output: O,
    compression: Compression,
) -> Result<O> {
    let threads = workers::most();
    match compression {
        Compression::Gzip => gzip::compress(pieces, output, threads),
        Compression::Zstd => zstd::compress(pieces, output, threads),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::pieces::PIECE;
    use std::sync::mpsc::channel;

    /// Pieces of two kinds, enough for some frames.
    fn pieces() -> Receiver<Vec<u8>> {
        let (send, pieces) = channel();
        for number in 0..20_u8 {
            let bytes = (0..250).map(|byte| byte % (number + 1));
            send.send(bytes.cycle().take(PIECE).collect()).unwrap();
        }
        pieces
    }

    #[test]
    fn how_many_threads_there_are_changes_nothing() {
        let gzip = |threads| gzip::compress(pieces(), Vec::new(), threads).unwrap();
        let zstd = |threads| zstd::compress(pieces(), Vec::new(), threads).unwrap();
        for threads in [2, 5] {
            assert!(gzip(threads) == gzip(1));
            assert!(zstd(threads) == zstd(1));
        }
    }
}
