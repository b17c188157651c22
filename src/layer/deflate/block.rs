//! One block: its bytes as steps, in codes that fit them, or as they are (RFC 1951, 3.2.3).

use super::bits::{BitWriter, Bits};
use super::codes::Codes;
use super::header::Header;
use super::step::{Counts, Step};
use super::symbols::{self, DISTANCES, END, LITERALS, LONGEST, SHORTEST};

/// So that four literals can be put at once.
const LONGEST_LITERAL: usize = 14;
const LONGEST_DISTANCE: usize = 15;
/// Not the last block; stored (3.2.4).
const STORED: Bits = Bits { value: 0, count: 3 };
const MOST_STORED: usize = 0xffff;
/// Of a stored block what is not the bytes, in bits: as much as it can be.
const AROUND_STORED: usize = 3 + 7 + 32;

/// Writes `bytes`, which `steps` are, with the symbols that `counts` has and the end of a block.
pub fn write(bits: &mut BitWriter, bytes: &[u8], steps: &[Step], counts: &mut Counts) {
    counts.literals[END] = 1;
    let literals = Codes::of_counts(&counts.literals, LONGEST_LITERAL);
    let distances = Codes::of_counts(&counts.distances, LONGEST_DISTANCE);
    let header = Header::new(&literals, &distances);
    let cost = header.cost()
        + literals.cost(&counts.literals, symbols::length_bits)
        + distances.cost(&counts.distances, symbols::distance_bits);
    if cost >= stored_cost(bytes) {
        return store(bits, bytes);
    }
    bits.reserve(cost);
    header.write(bits);
    Tables::new(&literals, &distances).write(bits, bytes, steps);
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

/// The codes, as they are looked up.
struct Tables {
    literals: [Bits; 256],
    /// With what follows them; nothing where there is no copy.
    lengths: [Bits; LONGEST + 1],
    distances: [Bits; DISTANCES],
}

impl Tables {
    fn new(literals: &Codes<LITERALS>, distances: &Codes<DISTANCES>) -> Self {
        let mut lengths = [Bits::default(); LONGEST + 1];
        for (length, bits) in lengths.iter_mut().enumerate().skip(SHORTEST) {
            let code = literals.of(symbols::length_symbol(length));
            *bits = code.then(symbols::length_rest(length));
        }
        Self {
            literals: std::array::from_fn(|byte| literals.of(byte)),
            lengths,
            distances: std::array::from_fn(|symbol| distances.of(symbol)),
        }
    }

    fn write(&self, bits: &mut BitWriter, bytes: &[u8], steps: &[Step]) {
        let mut rest = bytes;
        for step in steps {
            let (run, after) = rest.split_at(step.run());
            self.write_run(bits, run);
            if step.length() > 0 {
                self.write_copy(bits, *step);
            }
            rest = &after[step.length()..];
        }
    }

    #[inline]
    fn write_run(&self, bits: &mut BitWriter, run: &[u8]) {
        let (fours, rest) = run.as_chunks::<4>();
        let code = |byte: u8| self.literals[usize::from(byte)];
        for four in fours {
            let [one, two, three, four] = four.map(code);
            bits.put(one.then(two).then(three.then(four)));
        }
        if !rest.is_empty() {
            let code = |index| rest.get(index).map_or(Bits::default(), |byte| code(*byte));
            bits.put(code(0).then(code(1)).then(code(2)));
        }
    }

    #[inline]
    fn write_copy(&self, bits: &mut BitWriter, step: Step) {
        let distance = step.distance();
        let code = self.distances[symbols::distance_symbol(distance)];
        let distance = code.then(symbols::distance_rest(distance));
        bits.put(self.lengths[step.length()].then(distance));
    }
}
