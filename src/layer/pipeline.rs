//! The way of the archive's bytes into the store: read, hashed, compressed, sent, each in threads of its own.
//!
//! The steps hand on pieces of one size through channels that hold a few of them, so the clone is read ahead of the
//! compressors and the memory is bounded whatever the layer. A step that fails takes no more pieces, which ends those
//! before it; what it says is then the reason.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Result;

use super::archive::Sink;
use super::pieces::{AHEAD, PIECE};
use super::{gzip, zstd};
use crate::arguments::Compression;
use crate::digest::Sha256Digest;
use crate::system::signals;
use crate::system::workers::{self, join, spawn};

/// An archive that has been compressed into `output`.
pub struct Written<O> {
    /// Of the archive itself.
    pub digest: String,
    pub output: O,
}

/// Lets `fill` write the archive, and compresses it into `output` meanwhile.
pub fn run<T, O: Write + Send>(
    output: O,
    compression: Compression,
    fill: impl FnOnce(&mut dyn Sink) -> Result<T>,
) -> Result<(T, Written<O>)> {
    thread::scope(|scope| {
        let (to_hash, read) = sync_channel(AHEAD);
        let (to_compress, hashed) = sync_channel(AHEAD);
        let hashing = spawn(scope, "hash", move || hash(read, &to_compress))?;
        let compressing = spawn(scope, "compress", move || match compression {
            Compression::Gzip => gzip::compress(hashed, output, workers::most()),
            Compression::Zstd => zstd::compress(hashed, output, workers::most()),
        })?;
        let filled = fill_pieces(to_hash, fill);
        let digest = join(hashing);
        let output = join(compressing)?;
        Ok((filled?, Written { digest, output }))
    })
}

/// The last piece is sent, and the channel closed, when this returns.
fn fill_pieces<T>(
    next: SyncSender<Vec<u8>>,
    fill: impl FnOnce(&mut dyn Sink) -> Result<T>,
) -> Result<T> {
    let mut pieces = Pieces {
        filling: Vec::with_capacity(PIECE),
        next,
    };
    let value = fill(&mut pieces)?;
    pieces.send()?;
    Ok(value)
}

fn hash(pieces: Receiver<Vec<u8>>, next: &SyncSender<Vec<u8>>) -> String {
    let mut digest = Sha256Digest::default();
    for piece in pieces {
        digest.update(&piece);
        if next.send(piece).is_err() {
            break;
        }
    }
    digest.to_string()
}

/// Cuts what is written into pieces.
struct Pieces {
    filling: Vec<u8>,
    next: SyncSender<Vec<u8>>,
}

impl Pieces {
    /// How much of the piece is left, after sending it if that is nothing.
    fn room(&mut self) -> io::Result<usize> {
        if self.filling.len() == PIECE {
            self.send()?;
        }
        Ok(PIECE - self.filling.len())
    }

    fn send(&mut self) -> io::Result<()> {
        signals::check().map_err(io::Error::other)?;
        let piece = mem::replace(&mut self.filling, Vec::with_capacity(PIECE));
        let sent = self.next.send(piece);
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room()?);
        self.filling.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Pieces {
    fn take_from(&mut self, file: &File, most: u64) -> io::Result<u64> {
        let most = most.min(self.room()? as u64);
        let taken = file.take(most).read_to_end(&mut self.filling)?;
        Ok(taken as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::bail;
    use flate2::bufread::GzDecoder;
    use harness::TempDir;
    use std::fs;
    use std::sync::mpsc::channel;

    /// What a reader of one member makes of it; nothing may follow that.
    fn gunzip(compressed: &[u8]) -> Vec<u8> {
        let mut decoder = GzDecoder::new(compressed);
        let mut bytes = Vec::new();
        decoder.read_to_end(&mut bytes).unwrap();
        assert!(decoder.into_inner().is_empty());
        bytes
    }

    fn compressed(bytes: &[u8], compression: Compression) -> Written<Vec<u8>> {
        let fill = |sink: &mut dyn Sink| Ok(sink.write_all(bytes)?);
        run(Vec::new(), compression, fill).unwrap().1
    }

    fn text(length: usize) -> Vec<u8> {
        let lines = (0_u64..).flat_map(|number| format!("{}\n", number * number).into_bytes());
        lines.take(length).collect()
    }

    /// Bytes that do not compress (xorshift).
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        };
        std::iter::repeat_with(next).take(length).collect()
    }

    #[test]
    fn what_goes_in_comes_out_of_one_member_and_of_frames() {
        let mixed = [text(PIECE / 2), noise(3 * PIECE), text(70_000), noise(9)].concat();
        for bytes in [
            Vec::new(),
            vec![7],
            text(PIECE),
            noise(PIECE + 1),
            text(9 * PIECE),
            mixed,
        ] {
            let gzip = compressed(&bytes, Compression::Gzip);
            assert_eq!(gunzip(&gzip.output), bytes);
            let zstd = compressed(&bytes, Compression::Zstd);
            assert_eq!(::zstd::decode_all(&zstd.output[..]).unwrap(), bytes);
            assert_eq!(gzip.digest, Sha256Digest::of(&bytes).to_string());
            assert_eq!(zstd.digest, gzip.digest);
        }
    }

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

    #[test]
    fn noise_is_stored_and_hardly_grows() {
        let bytes = noise(3 * PIECE + 5);
        let most = bytes.len() + bytes.len() / 1000;
        assert!(compressed(&bytes, Compression::Gzip).output.len() < most);
    }

    #[test]
    fn the_same_bytes_give_the_same_layer_however_they_are_written() {
        let bytes = [text(8 * PIECE), noise(PIECE)].concat();
        let by_sevens = |sink: &mut dyn Sink| {
            for some in bytes.chunks(7) {
                sink.write_all(some)?;
            }
            Ok(())
        };
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, &bytes[7..]).unwrap();
        let from_file = |sink: &mut dyn Sink| {
            let file = File::open(&path)?;
            sink.write_all(&bytes[..7])?;
            while sink.take_from(&file, PIECE as u64 + 5)? > 0 {}
            Ok(())
        };
        for compression in [Compression::Gzip, Compression::Zstd] {
            let whole = compressed(&bytes, compression).output;
            let ((), other) = run(Vec::new(), compression, by_sevens).unwrap();
            assert!(other.output == whole);
            let ((), other) = run(Vec::new(), compression, from_file).unwrap();
            assert!(other.output == whole);
        }
    }

    #[test]
    fn an_archive_that_fails_is_no_layer() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let fill = |sink: &mut dyn Sink| -> Result<()> {
                sink.write_all(&text(3 * PIECE))?;
                bail!("no more of it")
            };
            let error = run(Vec::new(), compression, fill).err().unwrap();
            assert_eq!(error.to_string(), "no more of it");
        }
    }

    /// Takes as many bytes and then no more.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let left = self.0.checked_sub(bytes.len());
            self.0 = left.ok_or_else(|| io::Error::other("full"))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_store_that_fails_ends_everything_and_says_why() {
        let bytes = noise(12 * PIECE);
        for compression in [Compression::Gzip, Compression::Zstd] {
            for room in [0, 100, PIECE, 12 * PIECE] {
                let fill = |sink: &mut dyn Sink| Ok(sink.write_all(&bytes)?);
                let error = run(Full(room), compression, fill).err().unwrap();
                assert_eq!(error.to_string(), "full");
            }
        }
    }
}
