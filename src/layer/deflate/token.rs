//! What a block consists of: tokens, each a copy of some bytes before it, or one or two bytes that stand for themselves.

use super::symbols::{self, DISTANCES, LITERALS, LONGEST, SHORTEST};

/// `length` bytes again that were `distance` bytes before; as much as Deflate has of both.
#[derive(Clone, Copy, Debug)]
pub struct Repetition {
    pub length: usize,
    pub distance: usize,
}

/// What is written first, what second, and what follows that. All are written in the same way, so that nobody has to
/// foresee which one comes next.
///
/// From the lowest bit on: 9 bits for the first, which is a literal or, from `LENGTH` on, a length; 9 for the second, which
/// is the symbol of a distance, `NOTHING` or, from `SECOND_LITERAL` on, a literal; and 13 that follow the symbol.
#[derive(Clone, Copy, Debug, Default)]
pub struct Token(u32);

const _: () = assert!(
    Token::LENGTH + LONGEST - SHORTEST < Token::KINDS
        && DISTANCES <= Token::NOTHING as usize
        && (Token::NOTHING as usize) < Token::SECOND_LITERAL
        && Token::SECOND_LITERAL + (u8::MAX as usize) < Token::KINDS
);

impl Token {
    /// How many there are of what is first, and of what is second.
    pub const KINDS: usize = 1 << Self::BITS;
    const BITS: u32 = 9;
    const LENGTH: usize = 256;
    const SECOND_LITERAL: usize = 32;
    const NOTHING: u32 = 31;

    #[inline]
    pub fn literal(byte: u8) -> Self {
        Self(u32::from(byte) | Self::NOTHING << Self::BITS)
    }

    #[inline]
    pub fn two_literals([first, second]: [u8; 2]) -> Self {
        Self(u32::from(first) | (Self::SECOND_LITERAL as u32 + u32::from(second)) << Self::BITS)
    }

    #[inline]
    pub fn copy(copy: Repetition) -> Self {
        let length = Self::LENGTH + copy.length - SHORTEST;
        let symbol = symbols::distance_symbol(copy.distance);
        let rest = symbols::distance_rest(copy.distance, symbol);
        Self(length as u32 | (symbol as u32 | rest << Self::BITS) << Self::BITS)
    }

    #[inline]
    pub fn first(self) -> usize {
        self.0 as usize % Self::KINDS
    }

    #[inline]
    pub fn second(self) -> usize {
        (self.0 >> Self::BITS) as usize % Self::KINDS
    }

    #[inline]
    pub fn rest(self) -> u32 {
        self.0 >> (2 * Self::BITS)
    }
}

/// How often each symbol occurs.
pub struct Counts {
    pub literals: [u32; LITERALS],
    pub distances: [u32; DISTANCES],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            literals: [0; LITERALS],
            distances: [0; DISTANCES],
        }
    }
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        let literals = self.literals.iter_mut().zip(&other.literals);
        let distances = self.distances.iter_mut().zip(&other.distances);
        for (count, more) in literals.chain(distances) {
            *count += more;
        }
    }
}
