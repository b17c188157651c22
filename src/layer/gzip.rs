//! gzip on all cores, as one ordinary member (RFC 1952): one header, one checksum, and between them pieces that are
//! compressed at the same time, go on one after the other, and repeat what is at the end of the one before.
//!
//! How is decided by samples of a piece: what does not become smaller is stored, as trying takes as long as compressing
//! does, unless files in it are alike, and what becomes smaller by a second look at what repeats is looked at so.

use std::io::Write;
use std::mem;
use std::sync::mpsc::Receiver;

use anyhow::Result;
use crc32fast::Hasher;

use super::deflate::{Deflate, Effort, FARTHEST, repetitions};
use super::in_order::{self, Workers};
use super::pieces::AHEAD;

/// Deflate, no flags, no time, no hint, and an operating system that is not told, as Go writes it.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block that is empty, in the fixed code.
const LAST_BLOCK: [u8; 2] = [3, 0];

const SAMPLES: usize = 8;
const SAMPLE: usize = 2 << 10;
/// A piece is stored if so many hundredths of its samples are left.
const HARDLY_SMALLER: usize = 99;
/// Files begin at blocks of an archive (tar(5)), and so do copies of them.
const BLOCK: usize = 512;
/// One block of so many that begin as another one is enough to look for what repeats.
const FEW_REPETITIONS: usize = 16;
/// A thorough search is worth its time where it leaves no more than so many hundredths of what a fast one leaves. Of
/// words in a random order it leaves 99, of programs and sources 90.
const WORTH_ITS_TIME: usize = 97;

/// Compresses all pieces into `output`, in their order.
pub fn compress<O: Write + Send>(
    pieces: Receiver<Vec<u8>>,
    mut output: O,
    threads: usize,
) -> Result<O> {
    output.write_all(&HEADER)?;
    let (mut checksum, mut length) = (Hasher::new(), 0_u32);
    let pieces = pieces.into_iter().inspect(|piece| {
        checksum.update(piece);
        // No piece is longer than 32 bits can say, which have the lowest bits of the whole length.
        length = length.wrapping_add(u32::try_from(piece.len()).unwrap_or_default());
    });
    let workers = Workers {
        threads,
        ahead: AHEAD,
    };
    let mut before = Vec::new();
    let pieces = pieces.map(|piece| {
        let end = piece[piece.len().saturating_sub(FARTHEST)..].to_vec();
        let before = mem::replace(&mut before, end);
        Piece { before, piece }
    });
    let mut output = in_order::compress(pieces, output, workers, || {
        let mut deflate = Deflate::default();
        Ok(move |piece: &Piece| Ok(compressed(&mut deflate, piece)))
    })?;
    output.write_all(&LAST_BLOCK)?;
    output.write_all(&checksum.finalize().to_le_bytes())?;
    output.write_all(&length.to_le_bytes())?;
    Ok(output)
}

/// What is compressed, and as much of what is before it as can be copied from.
struct Piece {
    before: Vec<u8>,
    piece: Vec<u8>,
}

fn compressed(deflate: &mut Deflate, Piece { before, piece }: &Piece) -> Vec<u8> {
    match effort(deflate, piece) {
        Some(effort) => deflate.compress(before, piece, effort),
        None => deflate.store(piece),
    }
}

/// What a few places of the piece are worth; nothing where they hardly become smaller.
fn effort(deflate: &mut Deflate, piece: &[u8]) -> Option<Effort> {
    let part = piece.len() / SAMPLES;
    if part <= SAMPLE {
        return Some(Effort::Thorough);
    }
    let parts = piece.chunks_exact(part);
    let samples: Vec<u8> = parts.flat_map(|part| &part[..SAMPLE]).copied().collect();
    let mut left = |effort| deflate.compress(&[], &samples, effort).len() * 100;
    let fast = left(Effort::Fast);
    if fast >= samples.len() * HARDLY_SMALLER {
        return repeats(piece).then_some(Effort::Fast);
    }
    let is_worth_it = left(Effort::Thorough) <= fast * WORTH_ITS_TIME / 100;
    Some(if is_worth_it {
        Effort::Thorough
    } else {
        Effort::Fast
    })
}

/// Whether blocks begin as others just before them do, which samples do not see.
fn repeats(piece: &[u8]) -> bool {
    repetitions::count(piece, BLOCK) * FEW_REPETITIONS * BLOCK >= piece.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::deflate::tests::noise;

    /// So many are as far back as a copy may be from.
    const BLOCKS_OF_WINDOW: usize = (32 << 10) / BLOCK;

    fn length(piece: &[u8]) -> usize {
        let (before, piece) = (Vec::new(), piece.to_vec());
        compressed(&mut Deflate::default(), &Piece { before, piece }).len()
    }

    #[test]
    fn what_does_not_become_smaller_is_stored_and_copies_of_it_are_not() {
        let noise = noise(256, 1 << 20);
        assert!(
            length(&noise) > noise.len(),
            "stored, with a little around it"
        );
        let file = &noise[..BLOCK * 40];
        let copies = file.repeat(noise.len() / file.len());
        assert!(length(&copies) < noise.len() / 10);
        let far = &noise[..BLOCK * (BLOCKS_OF_WINDOW + 1)];
        let far = far.repeat(noise.len() / far.len());
        assert!(
            length(&far) > far.len(),
            "there is nothing to be found in the window"
        );
    }
}
