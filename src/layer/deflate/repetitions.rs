//! How often a piece begins again with what it has just had, at some places of it: more cheaply than by compressing it.

use super::input::WORD;
use super::places::{Places, distance, is_distance};

/// Counts the places, each `step` bytes after the one before, where there is a word that another one of them has, no
/// farther back than a copy may be from. The first place counts for none.
pub fn count(piece: &[u8], step: usize) -> usize {
    let word = |at: usize| {
        let bytes = piece.get(at..at + WORD)?;
        bytes.try_into().ok().map(u64::from_le_bytes)
    };
    let mut places = Places::<{ u64::BITS }>::default();
    places.clear();
    let repeats = |at: &usize| {
        let Some(here) = word(*at) else {
            return false;
        };
        let distance = distance(*at, places.replace(here, *at));
        is_distance(distance) && at.checked_sub(distance).and_then(word) == Some(here)
    };
    (step..piece.len()).step_by(step).filter(repeats).count()
}
