//! What reads entries and writes them into the clone, in one thread.

use std::path::Path;

use anyhow::Result;

use super::material::{Material, ReadEntry, Reader};
use super::replica::Replica;
use super::scan::Scan;
use crate::system::check::Check;
use crate::system::clock::{Grain, Moment};

pub struct Worker<'tree> {
    pub number: usize,
    pub reader: Reader<'tree>,
    pub replica: Replica,
}

impl<'tree> Worker<'tree> {
    /// It writes into `upper`.
    pub fn new(number: usize, reader: Reader<'tree>, upper: &Path) -> Result<Self> {
        let replica = Replica::new(upper)?;
        Ok(Self {
            number,
            reader,
            replica,
        })
    }

    /// Reads an entry, as what differs from the clone's entry `copy` if there is one.
    pub fn read(
        &mut self,
        scan: &Scan,
        index: usize,
        copy: Option<usize>,
        check: &Check,
    ) -> Result<ReadEntry> {
        let open = |place| self.replica.open(scan, place);
        let copy = copy.map(open).transpose()?;
        self.reader.read(scan, index, copy, check)
    }

    /// Writes what was read; `made` gets what was made, and whether it is settled.
    pub fn write(
        &mut self,
        scan: &Scan,
        settling: Settling,
        entries: &mut Vec<ReadEntry>,
        made: &mut Vec<(usize, bool)>,
    ) -> Result<()> {
        for entry in entries.drain(..) {
            if self.replica.write(scan, &entry, &self.reader.memory)? {
                made.push((entry.index, settling.settles(scan, &entry)));
            }
        }
        self.reader.memory.reuse();
        Ok(())
    }
}

/// What tells whether a change after a copy is bound to show in the next scan.
#[derive(Clone, Copy)]
pub struct Settling {
    pub grain: Grain,
    /// The clock before anybody asked, for the last time, who holds which files, and so before anything of the pass was
    /// written back. Of what is begun later this stamp or a later one tells: direct I/O, and the first store to a page that is
    /// clean. Those that follow get none.
    pub since: Moment,
}

impl Settling {
    pub fn settles(self, scan: &Scan, entry: &ReadEntry) -> bool {
        let changed = scan.node(entry.index).signature.changed;
        !matches!(entry.material, Material::Vanished) && self.grain.separates(changed, self.since)
    }
}
