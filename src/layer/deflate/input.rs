//! What is compressed at a time, and what is before it, kept so that eight bytes can be read anywhere in it.

use super::symbols::{FARTHEST, LONGEST};
use super::zeros;

/// Bytes that are read at once.
pub const WORD: usize = 8;

pub struct Input {
    /// Of a size that is known, so that no place needs a check.
    bytes: Box<[u8; Self::PLACES + WORD]>,
    start: usize,
    length: usize,
}

impl Input {
    /// A power of two.
    const PLACES: usize = 1 << 21;
    /// What is compressed at a time at most.
    pub const MOST: usize = Self::PLACES - FARTHEST;

    /// Takes on `bytes`, `MOST` at most, and of what is `before` them as much as can be copied from.
    pub fn fill(&mut self, before: &[u8], bytes: &[u8]) {
        let before = &before[before.len().saturating_sub(FARTHEST)..];
        self.start = before.len();
        self.length = before.len() + bytes.len();
        self.bytes[..self.start].copy_from_slice(before);
        self.bytes[self.start..self.length].copy_from_slice(bytes);
    }

    /// Where what is compressed begins.
    pub fn start(&self) -> usize {
        self.start
    }

    pub fn length(&self) -> usize {
        self.length
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Up to where a whole word is left.
    pub fn end_of_words(&self) -> usize {
        (self.length + 1).saturating_sub(WORD)
    }

    /// Eight bytes, the first of them the lowest. Those after the end are anything, as are all at a place that is none.
    #[inline]
    pub fn word(&self, at: usize) -> u64 {
        let at = at % Self::PLACES;
        let mut word = [0; WORD];
        word.copy_from_slice(&self.bytes[at..at + WORD]);
        u64::from_le_bytes(word)
    }

    /// How many bytes from `one` on, which is in the input, are those from `other` on; the first `known` are. No more
    /// than a copy may have.
    #[inline]
    pub fn in_common(&self, one: usize, other: usize, known: usize) -> usize {
        let most = LONGEST.min(self.length - one);
        let mut length = known;
        while length < most {
            let difference = self.word(one + length) ^ self.word(other + length);
            length += difference.trailing_zeros() as usize / 8;
            if difference != 0 {
                break;
            }
        }
        length.min(most)
    }
}

impl Default for Input {
    fn default() -> Self {
        Self {
            bytes: zeros(),
            start: 0,
            length: 0,
        }
    }
}
