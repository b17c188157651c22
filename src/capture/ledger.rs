//! The ledger: what the clone has of each entry of the scan, and so what is left to do.
//!
//! An entry is settled when a change after its copy is bound to show in the next scan. A stray is what the clone has under
//! a path where the source has something else by now, or nothing: most are removed, but a file that was renamed takes its
//! content along, so that a rotated log is not copied again.

use std::collections::{HashMap, HashSet};

use super::scan::Scan;
use super::signature::{Identity, Kind, Signature};
use super::update::Changes;

/// Smaller files are copied again sooner than compared with their copies.
pub const LEAST_TO_COMPARE: u64 = 1 << 20;
/// Smaller files that changed in every pass are left for the freeze: they will have changed once more.
const LARGEST_HOT: u64 = 64 << 10;
const HOT: u32 = 2;

#[derive(Clone, Copy, Default)]
struct Progress {
    made: Option<Kind>,
    is_settled: bool,
}

/// Something in the clone that has to go from where it is.
struct Stray {
    place: usize,
    made: Kind,
    /// Of what it was made from.
    signature: Signature,
    is_settled: bool,
}

/// A file of the clone that belongs to another path.
#[derive(Clone, Copy, Debug)]
pub struct Move {
    pub from: usize,
    pub to: usize,
    /// It is what it was, so there is nothing to read.
    pub is_whole: bool,
}

#[derive(Default)]
pub struct Ledger {
    entries: Vec<Progress>,
    strays: Vec<Stray>,
    /// In how many updates of the scan in a row an entry was found changed.
    heat: HashMap<usize, u32>,
    least_to_compare: u64,
}

impl Ledger {
    /// Nothing is made yet but the root.
    pub fn of(scan: &Scan, least_to_compare: u64) -> Self {
        let mut entries = vec![Progress::default(); scan.nodes().len()];
        entries[super::scan::ROOT] = Progress {
            made: Some(Kind::Directory),
            is_settled: true,
        };
        Self {
            entries,
            least_to_compare,
            ..Self::default()
        }
    }

    /// Takes what an update of the scan found into account.
    pub fn note(&mut self, scan: &Scan, changes: &Changes) {
        let count = scan.nodes().len();
        self.entries.resize(count, Progress::default());
        let mut heat = HashMap::new();
        for &(index, old) in &changes.different {
            let new = scan.node(index).signature;
            let stays = old.identity() == new.identity() && old.kind == new.kind;
            let is_directory = (old.kind, new.kind) == (Kind::Directory, Kind::Directory);
            if !stays && !is_directory {
                self.set_astray(index, old);
            }
            self.entries[index].is_settled = false;
            heat.insert(index, self.heat.get(&index).unwrap_or(&0) + 1);
        }
        self.heat = heat;
        for &index in &changes.gone {
            self.set_astray(index, scan.node(index).signature);
        }
    }

    fn set_astray(&mut self, place: usize, signature: Signature) {
        let Progress { made, is_settled } = std::mem::take(&mut self.entries[place]);
        if let Some(made) = made {
            self.strays.push(Stray {
                place,
                made,
                signature,
                is_settled,
            });
        }
    }

    /// The entries that must be read, all names of an inode together; those in `doubted` whatever is known of them.
    pub fn to_read(&self, scan: &Scan, doubted: &HashSet<usize>) -> Vec<usize> {
        let is_due = |index: &usize| !self.entries[*index].is_settled || doubted.contains(index);
        let due: Vec<usize> = scan.entries().filter(is_due).collect();
        let linked: HashSet<Identity> = due
            .iter()
            .map(|index| scan.node(*index))
            .filter(|node| node.has_other_links())
            .map(|node| node.signature.identity())
            .collect();
        if linked.is_empty() {
            return due;
        }
        let is_linked = |index: &usize| {
            let node = scan.node(*index);
            node.has_other_links() && linked.contains(&node.signature.identity())
        };
        let wanted = |index: &usize| is_due(index) || is_linked(index);
        scan.entries().filter(wanted).collect()
    }

    /// Whether an entry keeps changing, and is cheap to leave for the freeze.
    pub fn is_hot(&self, scan: &Scan, index: usize) -> bool {
        let signature = &scan.node(index).signature;
        self.heat.get(&index).is_some_and(|heat| *heat >= HOT)
            && signature.kind == Kind::File
            && signature.size() <= LARGEST_HOT
            && !signature.has_other_links()
    }

    /// Whether an entry is read as what differs from what the clone has under its path.
    pub fn is_compared(&self, scan: &Scan, index: usize, is_doubted: bool) -> bool {
        let signature = &scan.node(index).signature;
        // An empty one may be a whiteout in overlayfs's attribute form, which is no file in the clone.
        let is_worth_it =
            signature.size() > 0 && (is_doubted || signature.size() >= self.least_to_compare);
        self.entries[index].made == Some(Kind::File) && signature.kind == Kind::File && is_worth_it
    }

    /// Strays that are the content of one of `entries`. Those in `doubted` are never taken to be whole.
    pub fn moves(&self, scan: &Scan, entries: &[usize], doubted: &HashSet<usize>) -> Vec<Move> {
        let is_movable =
            |signature: &Signature| signature.kind == Kind::File && !signature.has_other_links();
        let strays = self.strays.iter();
        let mut strays: HashMap<Identity, &Stray> = strays
            .filter(|stray| stray.made == Kind::File && is_movable(&stray.signature))
            .map(|stray| (stray.signature.identity(), stray))
            .collect();
        if strays.is_empty() {
            return Vec::new();
        }
        let find = |&to: &usize| {
            let signature = &scan.node(to).signature;
            if self.entries[to].made.is_some() || !is_movable(signature) {
                return None;
            }
            let identity = signature.identity();
            let stray = strays.get(&identity)?;
            let is_whole = stray.is_settled
                && stray.signature.agrees_with(signature)
                && !doubted.contains(&to);
            if !is_whole && signature.size() < self.least_to_compare {
                return None;
            }
            let from = stray.place;
            strays.remove(&identity);
            Some(Move { from, to, is_whole })
        };
        entries.iter().filter_map(find).collect()
    }

    /// Takes note of moves that were made, or given up.
    pub fn moved(&mut self, moves: &[Move]) {
        let from: HashSet<usize> = moves.iter().map(|one| one.from).collect();
        self.strays.retain(|stray| !from.contains(&stray.place));
    }

    /// What must be removed before `entries` are made; it counts as removed from here on, and none of the entries as settled.
    pub fn take_removals(
        &mut self,
        scan: &Scan,
        entries: &[usize],
        is_compared: impl Fn(usize) -> bool,
    ) -> Vec<(usize, Kind)> {
        let strays = self.strays.drain(..);
        let mut removals: Vec<_> = strays.map(|stray| (stray.place, stray.made)).collect();
        for &index in entries {
            self.entries[index].is_settled = false;
            let is_directory = scan.node(index).kind() == Kind::Directory;
            if is_directory || is_compared(index) {
                continue;
            }
            if let Some(made) = self.entries[index].made.take() {
                removals.push((index, made));
            }
        }
        removals
    }

    /// Takes note that an entry is in the clone.
    pub fn made(&mut self, scan: &Scan, index: usize, is_settled: bool) {
        let entry = &mut self.entries[index];
        entry.made = Some(scan.node(index).kind());
        entry.is_settled = is_settled;
    }

    /// Takes note that an entry is not in the clone any more.
    pub fn unmade(&mut self, index: usize) {
        self.entries[index] = Progress::default();
    }

    pub fn is_made(&self, index: usize) -> bool {
        self.entries[index].made.is_some()
    }

    #[cfg(test)]
    pub fn is_settled(&self, index: usize) -> bool {
        self.entries[index].is_settled
    }
}
