//! Finding repetitions fast: of each place the last one before it that begins with the same six bytes.
//!
//! Shorter ones are hardly worth a copy in text. Of a copy's own places only two are remembered.

use std::ops::Range;

use super::Search;
use super::input::{Input, WORD};
use super::places::{Places, begin_alike, distance, is_distance};
use super::step::{Copy, Counts, LONGEST_RUN};

/// What a copy begins with, in bits of a word.
const BEGINNING: u32 = 48;
// Words must fit what is gone over in vain.
const _: () = assert!(LONGEST_RUN.is_multiple_of(WORD));

#[derive(Default)]
pub struct Fast {
    places: Places<BEGINNING>,
    /// Whether as much as may be was gone over without a copy. Only one place of each word is looked at then.
    in_vain: bool,
}

impl Search for Fast {
    fn begin(&mut self) {
        self.places.clear();
        self.in_vain = false;
    }

    #[inline]
    fn next_copy(
        &mut self,
        input: &Input,
        places: Range<usize>,
        counts: &mut Counts,
    ) -> (usize, Option<Copy>) {
        let mut at = places.start;
        while at < places.end {
            let word = input.word(at);
            let distance = distance(at, self.places.replace(word, at));
            let difference = word ^ input.word(at.wrapping_sub(distance));
            if begin_alike::<BEGINNING>(difference) && is_distance(distance, at) {
                let copy = longest(input, at, distance, difference);
                for inside in [at + 1, at + copy.length - 1] {
                    self.places.replace(input.word(inside), inside);
                }
                self.in_vain = false;
                return (at, Some(copy));
            }
            if self.in_vain {
                counts.all_literals(&word.to_le_bytes());
                at += WORD;
            } else {
                counts.literal(word as u8);
                at += 1;
            }
        }
        self.in_vain = true;
        (at, None)
    }
}

/// The copy from so far back, where words that differ so begin.
#[inline]
fn longest(input: &Input, at: usize, distance: usize, difference: u64) -> Copy {
    let other = at - distance;
    let next = input.word(at + WORD) ^ input.word(other + WORD);
    // As one number, as which of the two differs is not foreseen.
    let both = u128::from(difference) | u128::from(next) << u64::BITS;
    let mut length = both.trailing_zeros() as usize / 8;
    if length == 2 * WORD {
        length = input.in_common(at, other, length);
    }
    Copy {
        length: length.min(input.length() - at),
        distance,
    }
}
