//! zstd on all cores, as frames (RFC 8878) that follow one another, each with a part of the archive. What they are does
//! not depend on how many cores there are.

use std::io::Write;
use std::iter;
use std::sync::mpsc::Receiver;

use anyhow::Result;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use super::in_order::{self, Workers};
use super::pieces::PIECE;

/// The fastest that stays within 3 % of what stock's encoder makes of `tests/bench w3`'s tree, and within 10 % of what it
/// makes of text, programs, libraries and sources: level 1 makes 5 % more of that tree. Level 3 makes 5 % less of programs
/// and libraries, in one and a half times the time.
const LEVEL: i32 = 2;
/// As far as stock's encoder looks back, and the most that an encoder should ask of a decoder (RFC 8878, 3.1.1.1.2).
const WINDOW_BITS: u32 = 23;
/// Enough for a window; more would only need more memory.
const FRAME: usize = 1 << WINDOW_BITS;
/// One waits for a thread while it is joined, which is enough: frames are large.
const AHEAD: usize = 0;

/// Compresses all pieces into `output`, in their order.
pub fn compress<O: Write + Send>(
    pieces: Receiver<Vec<u8>>,
    output: O,
    threads: usize,
) -> Result<O> {
    let workers = Workers {
        threads,
        ahead: AHEAD,
    };
    in_order::compress(frames(pieces), output, workers, || {
        let mut compressor = Compressor::new(LEVEL)?;
        compressor.set_parameter(CParameter::WindowLog(WINDOW_BITS))?;
        Ok(move |frame: &Vec<u8>| Ok(compressor.compress(frame)?))
    })
}

/// Joins pieces to what goes into a frame.
fn frames(pieces: Receiver<Vec<u8>>) -> impl Iterator<Item = Vec<u8>> {
    iter::from_fn(move || {
        let mut frame = pieces.recv().ok()?;
        frame.reserve_exact(FRAME - frame.len());
        for piece in pieces.iter().take(FRAME / PIECE - 1) {
            frame.extend_from_slice(&piece);
        }
        Some(frame)
    })
}
