//! What there is to do for the clone to be what the scan is, sorted by how it is done.

use std::collections::{HashMap, HashSet};

use super::ledger::{Ledger, Move};
use super::scan::Scan;
use super::signature::{Identity, Kind};

/// Files that a worker takes one by one; under the freeze all of them read each together.
const LARGE: u64 = 16 << 20;

/// Each entry is in one of the lists, but for files that only move.
#[derive(Default)]
pub struct Work {
    pub entries: Vec<usize>,
    pub moves: Vec<Move>,
    /// Entries to be read as what differs from a copy, and where in the clone that is before anything is moved.
    pub copies: HashMap<usize, usize>,
    pub directories: Vec<usize>,
    pub small: Vec<usize>,
    pub large: Vec<usize>,
    /// Further names, with the entry that has the content.
    pub links: Vec<(usize, usize)>,
}

impl Work {
    /// All that is not settled, and the entries in `doubted` whatever is known of them; but for what `leaves` out.
    pub fn of(
        scan: &Scan,
        ledger: &Ledger,
        doubted: &HashSet<usize>,
        leaves: impl Fn(usize) -> bool,
    ) -> Self {
        let mut entries = ledger.to_read(scan, doubted);
        entries.retain(|index| !leaves(*index));
        let moves = ledger.moves(scan, &entries, doubted);
        let mut inodes = HashSet::new();
        let mut is_compared = |index: &usize| {
            let signature = &scan.node(*index).signature;
            ledger.is_compared(scan, *index, doubted.contains(index))
                // Of several names one; the clone's others are made anew, as links to it.
                && (!signature.has_other_links() || inodes.insert(signature.identity()))
        };
        let in_place = entries.iter().filter(|index| is_compared(index));
        let changed = moves.iter().filter(|one| !one.is_whole);
        let mut copies: HashMap<_, _> = changed.map(|one| (one.to, one.from)).collect();
        copies.extend(in_place.map(|index| (*index, *index)));
        let mut work = Self {
            entries,
            moves,
            copies,
            ..Self::default()
        };
        work.sort(scan);
        work
    }

    fn sort(&mut self, scan: &Scan) {
        let whole = self.moves.iter().filter(|one| one.is_whole);
        let whole: HashSet<usize> = whole.map(|one| one.to).collect();
        let in_place = self.copies.iter().filter(|(to, from)| to == from);
        let mut firsts: HashMap<Identity, usize> = in_place
            .map(|(index, _)| (scan.node(*index).signature.identity(), *index))
            .collect();
        for &index in self.entries.iter().filter(|index| !whole.contains(index)) {
            let signature = &scan.node(index).signature;
            if signature.has_other_links() {
                let first = *firsts.entry(signature.identity()).or_insert(index);
                if first != index {
                    self.links.push((index, first));
                    continue;
                }
            }
            match signature.kind {
                Kind::Directory => self.directories.push(index),
                Kind::File if signature.size() >= LARGE => self.large.push(index),
                _ => self.small.push(index),
            }
        }
    }
}
