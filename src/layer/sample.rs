//! How much of a piece compression would leave, told by a few places of it: that decides what it is worth.

use anyhow::{Context, Result};
use libdeflater::{CompressionLvl, Compressor};

const SAMPLES: usize = 8;
const SAMPLE: usize = 2 << 10;
/// libdeflate's fastest.
const LEVEL: i32 = 1;

pub struct Sampler(Compressor);

impl Sampler {
    pub fn new() -> Result<Self> {
        let level = CompressionLvl::new(LEVEL).ok();
        let level = level.context("setting the compression up")?;
        Ok(Self(Compressor::new(level)))
    }

    /// How many hundredths of the piece's size are left: 100 of what does not become smaller; 0 of what is short, which
    /// is worth any time.
    pub fn hundredths_left(&mut self, piece: &[u8]) -> usize {
        let part = piece.len() / SAMPLES;
        if part <= SAMPLE {
            return 0;
        }
        let parts = piece.chunks_exact(part);
        let samples: Vec<u8> = parts.flat_map(|part| &part[..SAMPLE]).copied().collect();
        // Longer than the samples they do not fit.
        let mut left = vec![0; samples.len()];
        let length = self.0.deflate_compress(&samples, &mut left);
        length.map_or(100, |length| (length * 100).div_ceil(samples.len()))
    }
}
