//! What a block consists of: steps, each of some bytes that stand for themselves and a copy of some before them.

use super::symbols::{self, DISTANCES, LITERALS};

/// How many bytes may stand for themselves in one step, so that what they are like is looked at now and then.
pub const LONGEST_RUN: usize = 512;

/// `length` bytes again that were `distance` bytes before; as much as Deflate has of both.
#[derive(Clone, Copy, Debug)]
pub struct Copy {
    pub length: usize,
    pub distance: usize,
}

/// Small, as there are many.
#[derive(Clone, Copy, Default)]
pub struct Step {
    run: u16,
    /// Zero where there is no copy.
    length: u16,
    distance: u16,
}

impl Step {
    #[inline]
    pub fn new(run: usize, copy: Option<Copy>) -> Self {
        let (length, distance) = copy.map_or((0, 0), |copy| (copy.length, copy.distance));
        // All below 1 << 16: `LONGEST_RUN`, `symbols::LONGEST`, `symbols::FARTHEST`.
        Self {
            run: run as u16,
            length: length as u16,
            distance: distance as u16,
        }
    }

    #[inline]
    pub fn run(self) -> usize {
        usize::from(self.run)
    }

    #[inline]
    pub fn length(self) -> usize {
        usize::from(self.length)
    }

    #[inline]
    pub fn distance(self) -> usize {
        usize::from(self.distance)
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
    #[inline]
    pub fn literal(&mut self, byte: u8) {
        self.literals[usize::from(byte)] += 1;
    }

    #[inline]
    pub fn all_literals(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.literal(*byte);
        }
    }

    #[inline]
    pub fn copy(&mut self, copy: Copy) {
        self.literals[symbols::length_symbol(copy.length)] += 1;
        self.distances[symbols::distance_symbol(copy.distance)] += 1;
    }

    pub fn add(&mut self, other: &Self) {
        let literals = self.literals.iter_mut().zip(&other.literals);
        let distances = self.distances.iter_mut().zip(&other.distances);
        for (count, more) in literals.chain(distances) {
            *count += more;
        }
    }
}
