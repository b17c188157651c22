//! Where one block ends and the next begins: tokens are taken a batch at a time, and one whose symbols are unlike those
//! of the block so far begins another.

use super::batch::Batch;
use super::bits::BitWriter;
use super::block;
use super::input::Input;
use super::token::{Counts, Token};

/// In a block, so that its codes cost little and still fit.
const MOST_TOKENS: usize = 1 << 14;
/// How much of two distributions differs where they are unlike, in hundredths.
const UNLIKE: u64 = 60;

#[derive(Default)]
pub struct Blocks {
    bits: BitWriter,
    pub batch: Batch,
    tokens: Vec<Token>,
    counts: Counts,
    /// Where the block begins in the input, and where it ends so far.
    begin: usize,
    end: usize,
}

impl Blocks {
    /// Begins with what is compressed of an input, at `start`.
    pub fn begin(&mut self, start: usize) {
        (self.begin, self.end) = (start, start);
    }

    /// Ends the batch at `end`.
    pub fn end_batch(&mut self, input: &Input, end: usize) {
        let is_full = self.tokens.len() >= MOST_TOKENS;
        if !self.tokens.is_empty() && (is_full || are_unlike(&self.counts, &self.batch.counts)) {
            self.end_block(input);
        }
        self.tokens.extend_from_slice(self.batch.tokens());
        self.counts.add(&self.batch.counts);
        self.batch.clear();
        self.end = end;
    }

    fn end_block(&mut self, input: &Input) {
        let bytes = &input.bytes()[self.begin..self.end];
        block::write(&mut self.bits, bytes, &self.tokens, &mut self.counts);
        self.tokens.clear();
        self.counts = Counts::default();
        self.begin = self.end;
    }

    /// Ends the input.
    pub fn end(&mut self, input: &Input) {
        self.end_batch(input, input.length());
        self.end_block(input);
    }

    /// `bytes` as they are, between two inputs.
    pub fn store(&mut self, bytes: &[u8]) -> Vec<u8> {
        block::store(&mut self.bits, bytes);
        self.finish()
    }

    /// All that was written, up to a whole byte.
    pub fn finish(&mut self) -> Vec<u8> {
        block::align(&mut self.bits);
        self.bits.take()
    }
}

fn are_unlike(one: &Counts, other: &Counts) -> bool {
    let sum = |counts: &Counts| counts.literals.iter().sum::<u32>();
    let (ours, theirs) = (u64::from(sum(one)), u64::from(sum(other)));
    let counts = one.literals.iter().zip(&other.literals);
    let differences =
        counts.map(|(one, other)| (u64::from(*one) * theirs).abs_diff(u64::from(*other) * ours));
    differences.sum::<u64>() * 100 > ours * theirs * UNLIKE
}
