//! The tokens that a search finds next, with how often their symbols occur.

use super::symbols;
use super::token::{Counts, Repetition, Token};
use super::zeros;

/// So many tokens tell what bytes are like.
const ENOUGH: usize = 1 << 10;
/// More than enough, so that no place needs a check.
const MOST: usize = 2 * ENOUGH;
/// How many bytes may stand for themselves in what is added before anybody asks whether there are enough tokens.
pub const LONGEST_RUN: usize = 512;
const _: () = assert!(ENOUGH + LONGEST_RUN <= MOST);

pub struct Batch {
    tokens: Box<[Token; MOST]>,
    length: usize,
    pub counts: Counts,
}

impl Batch {
    pub fn has_enough(&self) -> bool {
        self.length >= ENOUGH
    }

    pub fn tokens(&self) -> &[Token] {
        &self.tokens[..self.length]
    }

    pub fn clear(&mut self) {
        self.length = 0;
        self.counts = Counts::default();
    }

    /// The byte, if `is_there`; without a branch, as that is not foreseen.
    #[inline]
    pub fn literal_if(&mut self, byte: u8, is_there: bool) {
        self.counts.literals[usize::from(byte)] += u32::from(is_there);
        self.tokens[self.length % MOST] = Token::literal(byte);
        self.length += usize::from(is_there);
    }

    #[inline]
    pub fn two_literals(&mut self, bytes: [u8; 2]) {
        for byte in bytes {
            self.counts.literals[usize::from(byte)] += 1;
        }
        self.push(Token::two_literals(bytes));
    }

    /// Bytes that stand for themselves, `LONGEST_RUN` at most.
    #[inline]
    pub fn literals(&mut self, bytes: &[u8]) {
        let (twos, rest) = bytes.as_chunks::<2>();
        for two in twos {
            self.two_literals(*two);
        }
        if let [last] = rest {
            self.literal_if(*last, true);
        }
    }

    #[inline]
    pub fn copy(&mut self, copy: Repetition) {
        self.counts.literals[symbols::length_symbol(copy.length)] += 1;
        self.counts.distances[symbols::distance_symbol(copy.distance)] += 1;
        self.push(Token::copy(copy));
    }

    #[inline]
    fn push(&mut self, token: Token) {
        self.tokens[self.length % MOST] = token;
        self.length += 1;
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            tokens: zeros(),
            length: 0,
            counts: Counts::default(),
        }
    }
}
