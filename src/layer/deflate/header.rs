//! The header of a block with codes of its own: the lengths of those, which have codes themselves (RFC 1951, 3.2.7).

use super::bits::{BitWriter, Bits};
use super::codes::Codes;
use super::symbols::{DISTANCES, LITERALS};

/// Not the last block; codes of its own (3.2.3).
const KIND: Bits = Bits {
    value: 0b100,
    count: 3,
};

/// Lengths from 0 to 15 stand for themselves.
const LENGTHS: usize = 19;
const REPEAT: usize = 16;
const FEW_ZEROS: usize = 17;
const MANY_ZEROS: usize = 18;
const ORDER: [usize; LENGTHS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// The most bits that the code of a length may have.
const LONGEST_CODE: usize = 7;

const LEAST_LITERALS: usize = 257;
const LEAST_DISTANCES: usize = 1;
const LEAST_LENGTHS: usize = 4;

pub struct Header {
    literals: usize,
    distances: usize,
    /// Of both, one after the other: a symbol, and what follows its code.
    lengths: Vec<(usize, Bits)>,
    codes: Codes<LENGTHS>,
    counts: [u32; LENGTHS],
}

impl Header {
    pub fn new(literals: &Codes<LITERALS>, distances: &Codes<DISTANCES>) -> Self {
        let mut all: Vec<u32> = literals.lengths(LEAST_LITERALS).collect();
        let literals = all.len();
        all.extend(distances.lengths(LEAST_DISTANCES));
        let lengths = shortened(&all);
        let mut counts = [0; LENGTHS];
        for (symbol, _) in &lengths {
            counts[*symbol] += 1;
        }
        Self {
            literals,
            distances: all.len() - literals,
            lengths,
            codes: Codes::of_counts(&counts, LONGEST_CODE),
            counts,
        }
    }

    /// In bits.
    pub fn cost(&self) -> usize {
        let lengths = self.codes.cost(&self.counts, following);
        KIND.count as usize + 5 + 5 + 4 + 3 * self.written() + lengths
    }

    pub fn write(&self, bits: &mut BitWriter) {
        bits.put(KIND);
        bits.put(Bits::new(self.literals - LEAST_LITERALS, 5));
        bits.put(Bits::new(self.distances - LEAST_DISTANCES, 5));
        bits.put(Bits::new(self.written() - LEAST_LENGTHS, 4));
        for symbol in &ORDER[..self.written()] {
            bits.put(Bits::new(self.codes.of(*symbol).count as usize, 3));
        }
        for (symbol, rest) in &self.lengths {
            bits.put(self.codes.of(*symbol).then(*rest));
        }
    }

    /// How many lengths of the codes for lengths are written.
    fn written(&self) -> usize {
        let last = ORDER
            .iter()
            .rposition(|symbol| self.codes.of(*symbol).count > 0);
        last.map_or(LEAST_LENGTHS, |last| LEAST_LENGTHS.max(last + 1))
    }
}

/// How many bits follow a symbol.
fn following(symbol: usize) -> u32 {
    match symbol {
        REPEAT => 2,
        FEW_ZEROS => 3,
        MANY_ZEROS => 7,
        _ => 0,
    }
}

/// The symbols of lengths, repetitions taken together.
fn shortened(lengths: &[u32]) -> Vec<(usize, Bits)> {
    let mut symbols = Vec::new();
    for run in lengths.chunk_by(|one, next| one == next) {
        let length = run[0] as usize;
        let mut left = run.len();
        if length > 0 {
            symbols.push((length, Bits::default()));
            left -= 1;
        }
        while left > 0 {
            let (symbol, least, most) = match length {
                0 if left >= 11 => (MANY_ZEROS, 11, 138),
                0 if left >= 3 => (FEW_ZEROS, 3, 10),
                1.. if left >= 3 => (REPEAT, 3, 6),
                _ => (length, 1, 1),
            };
            let taken = left.min(most);
            symbols.push((symbol, Bits::new(taken - least, following(symbol))));
            left -= taken;
        }
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(lengths: &[u32]) -> Vec<(usize, u64)> {
        let symbols = shortened(lengths).into_iter();
        symbols.map(|(symbol, rest)| (symbol, rest.value)).collect()
    }

    #[test]
    fn repeated_lengths_are_taken_together() {
        assert_eq!(
            symbols(&[5, 5, 5, 0, 0]),
            [(5, 0), (5, 0), (5, 0), (0, 0), (0, 0)]
        );
        assert_eq!(symbols(&[5; 4]), [(5, 0), (REPEAT, 0)]);
        assert_eq!(symbols(&[5; 7]), [(5, 0), (REPEAT, 3)]);
        assert_eq!(symbols(&[5; 10]), [(5, 0), (REPEAT, 3), (REPEAT, 0)]);
        assert_eq!(symbols(&[0; 3]), [(FEW_ZEROS, 0)]);
        assert_eq!(symbols(&[0; 10]), [(FEW_ZEROS, 7)]);
        assert_eq!(symbols(&[0; 11]), [(MANY_ZEROS, 0)]);
        assert_eq!(symbols(&[0; 139]), [(MANY_ZEROS, 127), (0, 0)]);
    }
}
