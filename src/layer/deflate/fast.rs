//! Finding repetitions fast: of each place the last one before it that begins with the same six bytes.
//!
//! Shorter ones are hardly worth a copy in text. Of a copy's own places only two are remembered. Two places are looked at
//! together, as it is not foreseen at which of them a copy is.

use super::Search;
use super::batch::Batch;
use super::input::{Input, WORD};
use super::places::{Places, distance, is_distance};
use super::token::Repetition;

/// What a copy begins with, in bits of a word.
const BEGINNING: u32 = 48;
/// After so many bytes without a copy only one place of each word is looked at.
const PATIENCE: usize = 512;

#[derive(Default)]
pub struct Fast {
    places: Places<BEGINNING>,
    /// How many bytes were gone over since the last copy, as far as patience goes.
    in_vain: usize,
}

/// A place that may be copied.
struct Candidate {
    distance: usize,
    /// Zero where it may be, and what is there begins alike.
    obstacle: u64,
}

impl Search for Fast {
    fn begin(&mut self, input: &Input) {
        self.places.clear();
        self.in_vain = 0;
        // Two places are looked at together, so that one of them is remembered.
        for at in (0..input.start()).step_by(2) {
            self.places.replace(input.word(at), at);
        }
    }

    #[inline]
    fn next(&mut self, input: &Input, at: usize, batch: &mut Batch) -> usize {
        let word = input.word(at);
        if self.in_vain >= PATIENCE {
            return self.skip(input, at, word, batch);
        }
        let here = self.candidate(input, at, word);
        let next = self.candidate(input, at + 1, word >> 8);
        if here.obstacle.min(next.obstacle) > 0 {
            batch.two_literals([word as u8, (word >> 8) as u8]);
            self.in_vain += 2;
            return at + 2;
        }
        let is_next = here.obstacle > 0;
        batch.literal_if(word as u8, is_next);
        let distance = if is_next {
            next.distance
        } else {
            here.distance
        };
        self.copy(input, at + usize::from(is_next), distance, batch)
    }
}

impl Fast {
    /// Goes over a word, of which only one place is looked at.
    fn skip(&mut self, input: &Input, at: usize, word: u64, batch: &mut Batch) -> usize {
        let here = self.candidate(input, at, word);
        if here.obstacle == 0 {
            return self.copy(input, at, here.distance, batch);
        }
        batch.literals(&word.to_le_bytes());
        at + WORD
    }

    /// What may be copied to `at`, where `word` begins.
    #[inline]
    fn candidate(&mut self, input: &Input, at: usize, word: u64) -> Candidate {
        let distance = distance(at, self.places.replace(word, at));
        let difference = word ^ input.word(at.wrapping_sub(distance));
        let obstacle = difference << (u64::BITS - BEGINNING) | u64::from(!is_distance(distance));
        Candidate { distance, obstacle }
    }

    /// Adds the copy to `at`, which is as long as it can be; returns where it ends.
    #[inline]
    fn copy(&mut self, input: &Input, at: usize, distance: usize, batch: &mut Batch) -> usize {
        let length = longest(input, at, at - distance);
        for inside in [at + 1, at + length - 1] {
            self.places.replace(input.word(inside), inside);
        }
        self.in_vain = 0;
        batch.copy(Repetition { length, distance });
        at + length
    }
}

/// How long the copy to `at` is.
#[inline]
fn longest(input: &Input, at: usize, other: usize) -> usize {
    let difference = |after| input.word(at + after) ^ input.word(other + after);
    // As one number, as which of the two words differs is not foreseen.
    let both = u128::from(difference(0)) | u128::from(difference(WORD)) << u64::BITS;
    let mut length = both.trailing_zeros() as usize / 8;
    if length == 2 * WORD {
        length = input.in_common(at, other, length);
    }
    length.min(input.length() - at)
}
