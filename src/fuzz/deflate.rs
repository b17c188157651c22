//! Bytes of any kind, compressed and read again by zlib-rs.

use flate2::{Decompress, FlushDecompress, Status};

use crate::layer::deflate::{Deflate, Effort};

/// A last block that is empty, in the fixed code.
const LAST_BLOCK: [u8; 2] = [3, 0];
/// From here on a byte of an input stands for bytes that were there before.
const AGAIN: u8 = 0x80;
const MOST: usize = 2 << 20;

/// Input: bytes as `expanded` takes them.
pub fn deflate(input: &[u8]) {
    let bytes = expanded(input);
    let mut deflate = Deflate::default();
    let mut blocks = deflate.compress(&[], &bytes, Effort::Fast);
    blocks.extend(deflate.store(&bytes));
    blocks.extend(deflate.compress(&bytes, &bytes, Effort::Thorough));
    blocks.extend(deflate.compress(&bytes, &bytes, Effort::Fast));
    assert!(inflate(&blocks, bytes.len() * 4) == bytes.repeat(4));
}

/// So few bytes are worth more when they say what repeats: a count and so many bytes, or how much is there again, in two
/// bytes how far back, and how often.
fn expanded(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((&first, rest)) = input.split_first() {
        if first < AGAIN || bytes.is_empty() {
            let (new, rest) = rest.split_at(usize::from(first).min(rest.len()));
            bytes.extend(new);
            input = rest;
            continue;
        }
        let [near, far, times, rest @ ..] = rest else {
            break;
        };
        let distance = usize::from(u16::from_le_bytes([*near, *far]));
        let from = bytes.len().saturating_sub(distance.max(1));
        let again = &bytes[from..];
        let length = usize::from(first - AGAIN).min(again.len());
        let again = again[..length].repeat(usize::from(*times));
        bytes.extend(again);
        bytes.truncate(MOST);
        input = rest;
    }
    bytes
}

/// What the blocks are, which must be a stream but for its last one.
pub(crate) fn inflate(blocks: &[u8], length: usize) -> Vec<u8> {
    let stream = [blocks, &LAST_BLOCK].concat();
    let mut bytes = Vec::with_capacity(length + 1);
    let mut decoder = Decompress::new(false);
    let status = decoder.decompress_vec(&stream, &mut bytes, FlushDecompress::Finish);
    assert_eq!(status.unwrap(), Status::StreamEnd);
    assert_eq!(decoder.total_in(), stream.len() as u64);
    bytes
}
