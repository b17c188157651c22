//! One block: its bytes as tokens, in codes that fit them, or as they are (RFC 1951, 3.2.3).

use super::bits::{BitWriter, Bits};
use super::codes::{Codes, LONGEST_CODE};
use super::header::Header;
use super::symbols::{self, DISTANCES, END, LITERALS, LONGEST, SHORTEST};
use super::token::{Counts, Repetition, Token};

/// Not the last block; stored (3.2.4).
const STORED: Bits = Bits { value: 0, count: 3 };
const MOST_STORED: usize = 0xffff;
/// Of a stored block what is not the bytes, in bits: as much as it can be.
const AROUND_STORED: usize = 3 + 7 + 32;

/// Writes `bytes`, which `tokens` are, with the symbols that `counts` has and the end of a block.
pub fn write(bits: &mut BitWriter, bytes: &[u8], tokens: &[Token], counts: &mut Counts) {
    counts.literals[END] = 1;
    let literals = Codes::of_counts(&counts.literals, LONGEST_CODE);
    let distances = Codes::of_counts(&counts.distances, LONGEST_CODE);
    let header = Header::new(&literals, &distances);
    let cost = header.cost()
        + literals.cost(&counts.literals, symbols::length_bits)
        + distances.cost(&counts.distances, symbols::distance_bits);
    if cost >= stored_cost(bytes) {
        return store(bits, bytes);
    }
    bits.reserve(cost);
    header.write(bits);
    Tables::new(&literals, &distances).write(bits, tokens);
    bits.put(literals.of(END));
}

/// In bits, at most.
fn stored_cost(bytes: &[u8]) -> usize {
    bytes.len() * 8 + bytes.len().div_ceil(MOST_STORED) * AROUND_STORED
}

pub fn store(bits: &mut BitWriter, bytes: &[u8]) {
    bits.reserve(stored_cost(bytes));
    for part in bytes.chunks(MOST_STORED) {
        put_stored(bits, part);
    }
}

/// Ends on a whole byte, with a block that has no bytes.
pub fn align(bits: &mut BitWriter) {
    if !bits.is_aligned() {
        bits.reserve(AROUND_STORED);
        put_stored(bits, &[]);
    }
}

fn put_stored(bits: &mut BitWriter, bytes: &[u8]) {
    bits.put(STORED);
    bits.align();
    let length = bytes.len() as u16;
    bits.put_bytes(&length.to_le_bytes());
    bits.put_bytes(&(!length).to_le_bytes());
    bits.put_bytes(bytes);
}

/// What is written for the first and for the second part of a token; of what stands for nothing, no bits.
struct Tables {
    first: [First; Token::KINDS],
    second: [Second; Token::KINDS],
}

/// A code, with what follows that of a length.
#[derive(Clone, Copy, Default)]
struct First {
    value: u32,
    count: u8,
}

/// A code, and how many bits follow that of a distance.
#[derive(Clone, Copy, Default)]
struct Second {
    value: u16,
    count: u8,
    following: u8,
}

impl Tables {
    fn new(literals: &Codes<LITERALS>, distances: &Codes<DISTANCES>) -> Self {
        let mut tables = Self {
            first: [First::default(); Token::KINDS],
            second: [Second::default(); Token::KINDS],
        };
        for byte in 0..=u8::MAX {
            let token = Token::two_literals([byte, byte]);
            let code = literals.of(byte.into());
            tables.first[token.first()] = First::of(code);
            tables.second[token.second()] = Second::of(code, 0);
        }
        for length in SHORTEST..=LONGEST {
            let token = Token::copy(Repetition {
                length,
                distance: 1,
            });
            let code = literals.of(symbols::length_symbol(length));
            let with_rest = code.then(symbols::length_rest(length));
            tables.first[token.first()] = First::of(with_rest);
        }
        let symbols = tables.second.iter_mut().take(DISTANCES).enumerate();
        for (symbol, second) in symbols {
            let following = symbols::distance_bits(symbol);
            *second = Second::of(distances.of(symbol), following);
        }
        tables
    }

    /// A token has 20 bits at most for a length, 15 of them its code, and 28 for a distance.
    fn write(&self, bits: &mut BitWriter, tokens: &[Token]) {
        for token in tokens {
            let First { value, count } = self.first[token.first()];
            let first = Bits::new(value as usize, count.into());
            let second = self.second[token.second()];
            let rest = Bits::new(token.rest() as usize, second.following.into());
            let code = Bits::new(second.value.into(), second.count.into());
            bits.put(first.then(code.then(rest)));
        }
    }
}

impl First {
    fn of(bits: Bits) -> Self {
        Self {
            value: bits.value as u32,
            count: bits.count as u8,
        }
    }
}

impl Second {
    fn of(code: Bits, following: u32) -> Self {
        Self {
            value: code.value as u16,
            count: code.count as u8,
            following: following as u8,
        }
    }
}
