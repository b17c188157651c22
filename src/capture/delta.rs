//! The delta: what is read while the container is frozen, and written after the thaw.
//!
//! Nothing is written into the clone meanwhile, and contents go into memory that was set aside, so that neither a full
//! disk nor a journal prolongs the freeze.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::clone::{Cloning, ENTRIES_AT_ONCE};
use super::material::ReadEntry;
use super::signature::Kind;
use super::work::Work;
use super::worker::Worker;
use crate::system::check::{Check, unless_stopped};
use crate::system::workers;

/// How often a file that changes under the freeze is read again.
const STABILITY_TRIES: usize = 3;

pub struct Delta {
    work: Work,
    /// With the worker in whose memory its content is; without further names of files.
    entries: Vec<(usize, ReadEntry)>,
    /// Copied, and compared with what was copied before.
    pub bytes: u64,
    pub compared: u64,
    /// Files that changed while they were read, so somebody outside the container writes to them.
    pub unstable: usize,
}

impl Cloning<'_> {
    /// To be called before a freeze, in which about as much changes as before it.
    pub fn prepare_delta(&mut self) {
        self.staging.clean_up();
        for Worker { reader, .. } in &mut self.workers {
            reader.memory.warm_up(reader.bytes);
        }
    }

    /// Reads what is not settled, writing nothing into the clone; the container does not run meanwhile.
    pub fn read_delta(&mut self, check: &Check) -> Result<Delta> {
        let mut delta = self.read_delta_once(check)?;
        for _ in 1..STABILITY_TRIES {
            if delta.unstable == 0 {
                break;
            }
            delta = self.read_delta_once(check)?;
        }
        Ok(delta)
    }

    /// How long it takes to read a delta; what is read is not used.
    pub fn rehearse(&mut self) -> Result<Duration> {
        let began = Instant::now();
        self.read_delta_once(&unless_stopped)?;
        Ok(began.elapsed())
    }

    fn read_delta_once(&mut self, check: &Check) -> Result<Delta> {
        self.update(check)?;
        self.begin_reading(false);
        let work = Work::of(&self.scan, &self.ledger, &self.doubted(), |_| false);
        let mut entries = Vec::new();
        let mut unstable = 0;
        // Of large files each is read by all processors.
        let all = self.workers.len();
        for (indices, workers) in [
            (&work.directories, all),
            (&work.small, all),
            (&work.large, 1),
        ] {
            for (worker, entry, is_stable) in self.read_entries(&work, indices, workers, check)? {
                unstable += usize::from(!is_stable);
                entries.push((worker, entry));
            }
        }
        // However long it has taken since the last entry, if there was one.
        check()?;
        let readers = || self.workers.iter().map(|worker| &worker.reader);
        Ok(Delta {
            work,
            entries,
            bytes: readers().map(|reader| reader.bytes).sum(),
            compared: readers().map(|reader| reader.compared).sum(),
            unstable,
        })
    }

    /// The entries whose signatures cannot be trusted.
    fn doubted(&self) -> HashSet<usize> {
        if self.trusts && self.writers.is_empty() {
            return HashSet::new();
        }
        let is_doubted = |index: &usize| {
            let signature = &self.scan.node(*index).signature;
            !self.trusts || self.writers.hold(signature, self.scan.name(*index))
        };
        self.scan.entries().filter(is_doubted).collect()
    }

    /// Reads entries, and looks at each once more.
    fn read_entries(
        &mut self,
        work: &Work,
        indices: &[usize],
        workers: usize,
        check: &Check,
    ) -> Result<Vec<(usize, ReadEntry, bool)>> {
        let scan = &self.scan;
        let workers = &mut self.workers[..workers];
        let read = workers::with_each(workers, indices.len(), ENTRIES_AT_ONCE, |worker, range| {
            let mut read = Vec::with_capacity(range.len());
            for &index in &indices[range] {
                check()?;
                let copy = work.copies.get(&index).copied();
                let entry = worker.read(scan, index, copy, check)?;
                let is_stable = worker.reader.still_agrees(scan, index);
                read.push((worker.number, entry, is_stable));
            }
            Ok(read)
        })?;
        Ok(read.into_iter().flatten().collect())
    }

    /// Writes what was read; the clone then is what the source was when the delta was read.
    pub fn apply(&mut self, delta: Delta) -> Result<()> {
        let Delta { work, entries, .. } = delta;
        let is_directory =
            |entry: &ReadEntry| self.scan.node(entry.index).kind() == Kind::Directory;
        let (directories, others): (Vec<_>, Vec<_>) = entries
            .into_iter()
            .partition(|(_, entry)| is_directory(entry));
        let directories: Vec<_> = directories.into_iter().map(|(_, entry)| entry).collect();
        self.rearrange(&work, &directories)?;
        let mut vanished: HashSet<usize> = work.copies.keys().copied().collect();
        for index in self.apply_entries(&others)? {
            self.ledger.made(&self.scan, index, true);
            vanished.remove(&index);
        }
        self.drop_vanished(vanished)?;
        for &(index, first) in &work.links {
            let link = ReadEntry::link(index, first);
            let memory = &self.workers[0].reader.memory;
            if self.replica.write(&self.scan, &link, memory)? {
                self.ledger.made(&self.scan, index, true);
            }
        }
        // The room is asked for next.
        drop(others);
        for worker in &mut self.workers {
            worker.reader.memory.give_up_file();
        }
        self.staging.clean_up();
        Ok(())
    }

    /// Makes entries, each of which comes with the worker that read it; returns those that were made.
    fn apply_entries(&mut self, entries: &[(usize, ReadEntry)]) -> Result<Vec<usize>> {
        let scan = &self.scan;
        let parts = self.workers.iter_mut();
        let (mut replicas, memories): (Vec<_>, Vec<_>) = parts
            .map(|worker| (&mut worker.replica, &worker.reader.memory))
            .unzip();
        let made = workers::with_each(
            &mut replicas,
            entries.len(),
            ENTRIES_AT_ONCE,
            |replica, range| {
                let mut made = Vec::with_capacity(range.len());
                for (worker, entry) in &entries[range] {
                    if replica.write(scan, entry, memories[*worker])? {
                        made.push(entry.index);
                    }
                }
                Ok(made)
            },
        )?;
        Ok(made.into_iter().flatten().collect())
    }
}
