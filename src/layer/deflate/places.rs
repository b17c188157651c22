//! Where in an input something was last seen, as the searches remember it.

use super::symbols::FARTHEST;
use super::zeros;

const HASH: u32 = 15;

/// The lowest bits of a place: more are not needed, as no distance is longer.
pub type LowBits = u16;

/// Up to the place that it names it is at no distance that a copy may have, but from the first place. After that it is a
/// place as good as another, as what is there is compared anyway.
const NOWHERE: LowBits = FARTHEST as LowBits;

/// Of the places where words begin alike, in their first `BEGINNING` bits, the last one; as far as no other has its hash.
pub struct Places<const BEGINNING: u32>(Box<[LowBits; 1 << HASH]>);

impl<const BEGINNING: u32> Places<BEGINNING> {
    pub fn clear(&mut self) {
        self.0.fill(NOWHERE);
    }

    /// Remembers `at`, where there is `word`; returns what was remembered.
    #[inline]
    pub fn replace(&mut self, word: u64, at: usize) -> LowBits {
        // Multiplied with 2^64 divided by the golden ratio, all bits have a say in the highest ones.
        let beginning = word << (u64::BITS - BEGINNING);
        let hash = beginning.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - HASH);
        std::mem::replace(&mut self.0[hash as usize], at as LowBits)
    }
}

impl<const BEGINNING: u32> Default for Places<BEGINNING> {
    fn default() -> Self {
        Self(zeros())
    }
}

/// Whether words that differ in these bits begin alike.
#[inline]
pub fn begin_alike<const BEGINNING: u32>(difference: u64) -> bool {
    difference << (u64::BITS - BEGINNING) == 0
}

/// How far before `at`, which is not the first place, another one is, if it is one at all.
#[inline]
pub fn distance(at: usize, place: LowBits) -> usize {
    usize::from((at as LowBits).wrapping_sub(place))
}

/// Whether a copy may be from so far back.
#[inline]
pub fn is_distance(distance: usize) -> bool {
    distance.wrapping_sub(1) < FARTHEST
}
