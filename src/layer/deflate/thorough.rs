//! Finding repetitions thoroughly: of each place a few before it that begin with the same five bytes are compared, and
//! the longest is taken, unless the place after it has a longer one.

use super::batch::{Batch, LONGEST_RUN};
use super::input::{Input, WORD};
use super::places::{LowBits, Places, begin_alike, distance, is_distance};
use super::symbols::FARTHEST;
use super::token::Repetition;
use super::{Search, zeros};

/// What a copy begins with, in bits of a word, and what is shorter than all copies.
const BEGINNING: u32 = 40;
const SHORTER: usize = 4;
/// How many places are compared: more make little smaller, and take their time.
const COMPARED: usize = 2;
/// So long a copy is not compared with others.
const LONG: usize = 128;

pub struct Thorough {
    last: Places<BEGINNING>,
    /// For each place the one before it with the same hash.
    before: Box<[LowBits; FARTHEST]>,
}

impl Search for Thorough {
    fn begin(&mut self, input: &Input) {
        self.last.clear();
        for at in 0..input.start() {
            self.remember(input.word(at), at);
        }
    }

    #[inline]
    fn next(&mut self, input: &Input, begin: usize, batch: &mut Batch) -> usize {
        let end = input.end_of_words().min(begin + LONGEST_RUN);
        let mut at = begin;
        let mut best: Option<(usize, Repetition)> = None;
        while at < end && best.is_none_or(|(_, copy)| copy.length < LONG) {
            let length = best.map_or(SHORTER, |(_, copy)| copy.length);
            let longer = self.longest(input, at, length);
            at += 1;
            match longer {
                Some(longer) => best = Some((at - 1, longer)),
                None if best.is_some() => break,
                None => {}
            }
        }
        let Some((place, copy)) = best else {
            batch.literals(&input.bytes()[begin..at]);
            return at;
        };
        batch.literals(&input.bytes()[begin..place]);
        batch.copy(copy);
        for inside in at..place + copy.length {
            self.remember(input.word(inside), inside);
        }
        place + copy.length
    }
}

impl Thorough {
    /// The longest copy at `at` that is longer than `length`.
    #[inline]
    fn longest(&mut self, input: &Input, at: usize, mut length: usize) -> Option<Repetition> {
        let word = input.word(at);
        let mut back = distance(at, self.remember(word, at));
        let mut found = None;
        for _ in 0..COMPARED {
            if !is_distance(back) {
                break;
            }
            let other = at - back;
            let difference = word ^ input.word(other);
            // A longer one has the beginning, and what is after the length.
            let further = length - SHORTER;
            let after = input.word(at + further) ^ input.word(other + further);
            if begin_alike::<BEGINNING>(difference | after) {
                let common = match difference {
                    0 => input.in_common(at, other, WORD),
                    _ => difference.trailing_zeros() as usize / 8,
                };
                if common > length {
                    length = common;
                    let distance = back;
                    found = Some(Repetition { length, distance });
                }
                if length >= LONG {
                    break;
                }
            }
            let next = distance(at, self.before[other % FARTHEST]);
            // Not so where the table has another place by now.
            if next <= back {
                break;
            }
            back = next;
        }
        found
    }

    /// Remembers `at`; returns the last place that has the hash of `word`.
    #[inline]
    fn remember(&mut self, word: u64, at: usize) -> LowBits {
        let last = self.last.replace(word, at);
        self.before[at % FARTHEST] = last;
        last
    }
}

impl Default for Thorough {
    fn default() -> Self {
        Self {
            last: Places::default(),
            before: zeros(),
        }
    }
}
