//! What is compressed at a time, kept so that eight bytes can be read anywhere in it.

use super::symbols::LONGEST;
use super::zeros;

/// Bytes that are read at once.
pub const WORD: usize = 8;

pub struct Input {
    /// Of a size that is known, so that no place needs a check.
    bytes: Box<[u8; Self::MOST + WORD]>,
    length: usize,
}

impl Input {
    /// A power of two.
    pub const MOST: usize = 1 << 20;

    /// Takes on `bytes`, `MOST` at most.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.length = bytes.len();
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
        let at = at % Self::MOST;
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
            length: 0,
        }
    }
}
