//! gzip on all cores, as one ordinary member (RFC 1952): one header, one checksum, and between them pieces that were
//! compressed each by itself, and go on one after the other.
//!
//! How is decided by samples of a piece. What does not become smaller is stored, as trying takes as long as compressing
//! does; what becomes much smaller is worth a second look at a match.

use std::io::Write;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use libdeflater::{CompressionLvl, Compressor, Crc};

use super::deflate;
use super::pipeline::{AHEAD, join, spawn};

/// libdeflate's fastest, for what stays larger than half.
const FAST: i32 = 1;
/// Of sources the fastest makes 12 % more than stock does, this one 4 %.
const THOROUGH: i32 = 4;

/// Deflate, no flags, no time, no hint, and an operating system that is not told, as Go writes it.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block that is empty, in the fixed code.
const LAST_BLOCK: [u8; 2] = [3, 0];
/// The most that one stored block holds, and the bytes before it.
const STORED: usize = 0xffff;
const STORED_HEADER: usize = 5;

const SAMPLES: usize = 8;
const SAMPLE: usize = 2 << 10;

/// A piece, and where the compressed one is awaited.
struct Job {
    piece: Vec<u8>,
    done: SyncSender<Result<Vec<u8>>>,
}

/// Compresses all pieces into `output`, in their order.
pub fn compress<O: Write + Send>(
    pieces: Receiver<Vec<u8>>,
    mut output: O,
    threads: usize,
) -> Result<O> {
    output.write_all(&HEADER)?;
    let (jobs, to_do) = sync_channel(AHEAD);
    let (order, results) = sync_channel(AHEAD + threads);
    let to_do = Arc::new(Mutex::new(to_do));
    thread::scope(|scope| {
        for _ in 0..threads {
            let (encoder, to_do) = (Encoder::new()?, Arc::clone(&to_do));
            spawn(scope, "gzip", move || work(encoder, &to_do))?;
        }
        // From here on only those who work hold it, and without them nothing is to be done.
        drop(to_do);
        let sender = spawn(scope, "send", move || send(results, output))?;
        let (checksum, length) = deal(pieces, &jobs, &order);
        drop((jobs, order));
        let mut output = join(sender)?;
        output.write_all(&LAST_BLOCK)?;
        output.write_all(&checksum.to_le_bytes())?;
        output.write_all(&length.to_le_bytes())?;
        Ok(output)
    })
}

/// Gives the pieces out until there are no more, or nobody takes them; returns their checksum and the lowest bits of
/// their length.
fn deal(
    pieces: Receiver<Vec<u8>>,
    jobs: &SyncSender<Job>,
    order: &SyncSender<Receiver<Result<Vec<u8>>>>,
) -> (u32, u32) {
    let (mut checksum, mut length) = (Crc::new(), 0_u32);
    for piece in pieces {
        checksum.update(&piece);
        // No piece is longer than 32 bits can say.
        length = length.wrapping_add(u32::try_from(piece.len()).unwrap_or_default());
        let (done, result) = sync_channel(1);
        if order.send(result).is_err() || jobs.send(Job { piece, done }).is_err() {
            break;
        }
    }
    (checksum.sum(), length)
}

fn work(mut encoder: Encoder, to_do: &Mutex<Receiver<Job>>) {
    let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { piece, done }) = next() {
        // Nobody waits for it once sending has failed.
        let _ = done.send(encoder.encode(&piece));
    }
}

fn send<O: Write>(results: Receiver<Receiver<Result<Vec<u8>>>>, mut output: O) -> Result<O> {
    for result in results {
        let block = result.recv().context("a compressing thread has ended")??;
        output.write_all(&block)?;
    }
    Ok(output)
}

struct Encoder {
    fast: Compressor,
    thorough: Compressor,
}

impl Encoder {
    fn new() -> Result<Self> {
        let level = |level| CompressionLvl::new(level).ok().context("setting gzip up");
        Ok(Self {
            fast: Compressor::new(level(FAST)?),
            thorough: Compressor::new(level(THOROUGH)?),
        })
    }

    /// The piece in blocks none of which is the last, ending on a whole byte.
    fn encode(&mut self, piece: &[u8]) -> Result<Vec<u8>> {
        let limit = stored_length(piece);
        let stream = match self.hundredths_left(piece) {
            99.. => None,
            50.. => deflate(&mut self.fast, piece, limit),
            _ => deflate(&mut self.thorough, piece, limit),
        };
        let Some(mut stream) = stream else {
            return Ok(stored(piece));
        };
        ensure!(
            deflate::let_go_on(&mut stream),
            "libdeflate has made a stream that is none"
        );
        Ok(stream)
    }

    /// How much a few places of the piece keep of their size; nothing of what is short, which is worth the time.
    fn hundredths_left(&mut self, piece: &[u8]) -> usize {
        let part = piece.len() / SAMPLES;
        if part <= SAMPLE {
            return 0;
        }
        let parts = piece.chunks_exact(part);
        let samples: Vec<u8> = parts.flat_map(|part| &part[..SAMPLE]).copied().collect();
        let stream = deflate(&mut self.fast, &samples, samples.len());
        stream.map_or(100, |stream| (stream.len() * 100).div_ceil(samples.len()))
    }
}

/// A whole stream; `None` where it would be longer than `limit`.
fn deflate(compressor: &mut Compressor, bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut stream = vec![0; limit];
    let length = compressor.deflate_compress(bytes, &mut stream).ok()?;
    stream.truncate(length);
    Some(stream)
}

fn stored_length(piece: &[u8]) -> usize {
    piece.len() + piece.len().div_ceil(STORED) * STORED_HEADER
}

fn stored(piece: &[u8]) -> Vec<u8> {
    let mut blocks = Vec::with_capacity(stored_length(piece));
    for part in piece.chunks(STORED) {
        // No longer than sixteen bits can say.
        let length = u16::try_from(part.len()).unwrap_or_default();
        blocks.push(0);
        blocks.extend(length.to_le_bytes());
        blocks.extend((!length).to_le_bytes());
        blocks.extend(part);
    }
    blocks
}
