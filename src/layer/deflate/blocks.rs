//! Where one block ends and the next begins: steps are taken a batch at a time, and one whose symbols are unlike those
//! of the block so far begins another.

use std::mem;

use super::bits::BitWriter;
use super::block;
use super::input::Input;
use super::step::{Copy, Counts, Step};

/// So many symbols tell what bytes are like.
const BATCH: u32 = 2048;
/// In a block, so that its codes cost little and still fit.
const MOST_STEPS: usize = 1 << 14;
/// How much of two distributions differs where they are unlike, in hundredths.
const UNLIKE: u64 = 60;

#[derive(Default)]
pub struct Blocks {
    bits: BitWriter,
    block: Part,
    batch: Part,
    /// Where the block begins in the input.
    begin: usize,
}

/// Some steps, one after the other.
#[derive(Default)]
struct Part {
    steps: Vec<Step>,
    counts: Counts,
    symbols: u32,
    /// How many bytes they are.
    length: usize,
}

impl Part {
    fn append(&mut self, next: &mut Self) {
        self.steps.append(&mut next.steps);
        self.counts.add(&mem::take(&mut next.counts));
        self.symbols += mem::take(&mut next.symbols);
        self.length += mem::take(&mut next.length);
    }

    fn is_unlike(&self, other: &Self) -> bool {
        let (ours, theirs) = (u64::from(self.symbols), u64::from(other.symbols));
        let counts = self.counts.literals.iter().zip(&other.counts.literals);
        let differences = counts
            .map(|(one, other)| (u64::from(*one) * theirs).abs_diff(u64::from(*other) * ours));
        differences.sum::<u64>() * 100 > ours * theirs * UNLIKE
    }
}

impl Blocks {
    /// Where the literals of the next step are counted.
    #[inline]
    pub fn counts(&mut self) -> &mut Counts {
        &mut self.batch.counts
    }

    /// Adds the step from `begin` on, whose copy is at `at`; returns where it ends.
    #[inline]
    pub fn add(&mut self, input: &Input, begin: usize, at: usize, copy: Option<Copy>) -> usize {
        let run = at - begin;
        let mut end = at;
        if let Some(copy) = copy {
            self.batch.counts.copy(copy);
            end += copy.length;
        }
        self.batch.steps.push(Step::new(run, copy));
        self.batch.symbols += run as u32 + 1;
        self.batch.length += end - begin;
        if self.batch.symbols >= BATCH {
            self.end_batch(input);
        }
        end
    }

    fn end_batch(&mut self, input: &Input) {
        let is_full = self.block.steps.len() >= MOST_STEPS;
        if !self.block.steps.is_empty() && (is_full || self.batch.is_unlike(&self.block)) {
            self.end_block(input);
        }
        self.block.append(&mut self.batch);
    }

    fn end_block(&mut self, input: &Input) {
        let Part {
            steps,
            counts,
            length,
            ..
        } = &mut self.block;
        let end = self.begin + *length;
        block::write(
            &mut self.bits,
            &input.bytes()[self.begin..end],
            steps,
            counts,
        );
        self.begin = end;
        steps.clear();
        *counts = Counts::default();
        self.block.symbols = 0;
        self.block.length = 0;
    }

    /// Ends the input.
    pub fn end(&mut self, input: &Input) {
        self.end_batch(input);
        self.end_block(input);
        self.begin = 0;
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
