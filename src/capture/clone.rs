//! The clone and what is known of it: passes over the source that make the two equal.
//!
//! The order within a pass is the argument for its soundness: scan, then syncfs, then for each file the clock, the
//! wait for a write under way, the copy. An entry is settled when a change after its copy is bound to show in the next
//! scan. A pass over a running container may leave unsettled entries; the pass under the freeze leaves none.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::comparison::Comparison;
use super::material::{Material, ReadEntry, Reader};
use super::replica::Replica;
use super::scan::{Check, Scan};
use super::signature::Kind;
use super::writers::Writers;
use crate::system::clock::Grain;
use crate::system::signals;
use crate::system::sync::FilesystemSync;
use crate::system::tree::Tree;

/// Contents read at once; a change that fits is read under the freeze without touching a disk.
const MOST_MEMORY: u64 = 64 << 20;
const LEAST_MEMORY: u64 = 1 << 20;
const ENTRIES_AT_ONCE: usize = 2048;
/// How often a file that changes under the freeze is read again.
const STABILITY_TRIES: usize = 3;

/// What a pass did. `changed` counts entries.
pub struct Pass {
    pub changed: usize,
    pub elapsed: Duration,
}

/// What was read under the freeze, to be written after the thaw.
pub struct Delta {
    scan: Scan,
    comparison: Comparison,
    entries: Vec<ReadEntry>,
    pub bytes: u64,
    /// Files that changed while they were read, so somebody outside the container writes to them.
    pub unstable: usize,
}

/// A clone that is what the source was.
pub struct CompleteClone {
    pub tree: Tree,
    /// Entries left out because no layer can carry their names.
    pub unrepresentable: usize,
}

impl Delta {
    /// Whether `source` still looks as it did when the delta was read.
    pub fn still_holds(&self, source: &Tree) -> Result<bool> {
        let now = Scan::of(source, &|| Ok(signals::check()?))?;
        let settled = vec![true; self.scan.nodes().len()];
        let comparison = Comparison::of(&self.scan, &now, &settled);
        let is_same = comparison.changed().next().is_none();
        Ok(is_same && now.nodes().len() == self.scan.nodes().len())
    }
}

/// A clone in the making, and the scan that it mirrors.
pub struct Clone<'tree> {
    source: &'tree Tree,
    replica: Replica,
    reader: Reader<'tree>,
    scan: Scan,
    settled: Vec<bool>,
    writers: Writers,
    grain: Grain,
    /// Bytes of file contents copied so far.
    pub bytes: u64,
}

impl<'tree> Clone<'tree> {
    /// `upper` is the empty directory to clone into, `staging` one beside it, on the same file system.
    ///
    /// `writers` were looked at before the first scan; `expected` is the size of the contents in it, in bytes.
    pub fn new(
        source: &'tree Tree,
        upper: &Path,
        staging: &Path,
        writers: Writers,
        expected: u64,
    ) -> Result<Self> {
        let replica = Replica::new(upper)?;
        let scan = Scan::empty(replica.tree())?;
        let memory = expected.clamp(LEAST_MEMORY, MOST_MEMORY);
        Ok(Self {
            source,
            reader: Reader::new(source, staging, usize::try_from(memory)?),
            replica,
            scan,
            settled: vec![true],
            writers,
            grain: probe_grain(staging)?,
            bytes: 0,
        })
    }

    /// Scans, and copies what is not settled, while the container may run.
    pub fn pass(&mut self, processes: &[u32]) -> Result<Pass> {
        // Direct I/O may be in flight of a file that is closed by the time of the copy.
        self.writers.look(processes);
        let scan = Scan::of(self.source, &|| Ok(signals::check()?))?;
        self.copy_scanned(scan)
    }

    /// Copies what is not settled of `scan`, which is of the source and was made just now.
    pub fn copy_scanned(&mut self, scan: Scan) -> Result<Pass> {
        let began = Instant::now();
        FilesystemSync::start(&self.source.root())?.wait()?;
        let comparison = Comparison::of(&self.scan, &scan, &self.settled);
        let changed: Vec<usize> = comparison.changed().collect();
        self.replica
            .remove(&self.scan, &comparison.removals(&self.scan, &scan))?;
        let mut settled = vec![true; scan.nodes().len()];
        self.reader.begin_scan();
        for part in changed.chunks(ENTRIES_AT_ONCE) {
            self.copy(&scan, part, &mut settled)?;
        }
        self.bytes += self.reader.bytes;
        (self.scan, self.settled) = (scan, settled);
        Ok(Pass {
            changed: changed.len(),
            elapsed: began.elapsed(),
        })
    }

    fn copy(&mut self, scan: &Scan, part: &[usize], settled: &mut [bool]) -> Result<()> {
        let mut entries = Vec::with_capacity(part.len());
        for &index in part {
            signals::check()?;
            let entry = self
                .reader
                .read(scan, index, &mut || Ok(signals::check()?))?;
            settled[index] = self.is_settled(scan, &entry);
            entries.push(entry);
            if self.reader.memory.has_enough() {
                self.write(scan, &entries)?;
                entries.clear();
            }
        }
        self.write(scan, &entries)
    }

    fn write(&mut self, scan: &Scan, entries: &[ReadEntry]) -> Result<()> {
        self.replica
            .write(scan, entries, self.reader.memory.bytes())?;
        self.reader.memory.reuse();
        Ok(())
    }

    fn is_settled(&self, scan: &Scan, entry: &ReadEntry) -> bool {
        let node = scan.node(entry.index);
        !matches!(entry.material, Material::Vanished)
            && self.grain.separates(node.signature.changed, entry.read_at)
    }

    /// To be called before a freeze, in which about as much changes as before it.
    pub fn prepare_delta(&mut self) {
        self.reader.memory.warm_up(self.reader.bytes);
    }

    /// Reads what is not settled, writing nothing into the clone; the container does not run meanwhile.
    pub fn read_delta(&mut self, processes: &[u32], check: &Check) -> Result<Delta> {
        let mut delta = self.read_delta_once(processes, check)?;
        for _ in 1..STABILITY_TRIES {
            if delta.unstable == 0 {
                break;
            }
            delta = self.read_delta_once(processes, check)?;
        }
        Ok(delta)
    }

    fn read_delta_once(&mut self, processes: &[u32], check: &Check) -> Result<Delta> {
        let scan = Scan::of(self.source, check)?;
        self.writers.look(processes);
        let mut comparison = Comparison::of(&self.scan, &scan, &self.settled);
        for index in scan.entries() {
            if self.writers.hold(scan.node(index)) {
                comparison.distrust(index);
            }
        }
        comparison.change_whole_link_groups(&scan);
        self.reader.begin_scan();
        let mut entries = Vec::new();
        for index in comparison.changed() {
            check()?;
            entries.push(self.reader.read(&scan, index, &mut || check())?);
        }
        let unstable = entries
            .iter()
            .filter(|entry| !self.reader.still_agrees(&scan, entry.index))
            .count();
        Ok(Delta {
            scan,
            comparison,
            entries,
            bytes: self.reader.bytes,
            unstable,
        })
    }

    /// Writes what was read; the clone then is what the source was when the delta was read.
    pub fn apply(&mut self, delta: Delta) -> Result<()> {
        let removals = delta.comparison.removals(&self.scan, &delta.scan);
        self.replica.remove(&self.scan, &removals)?;
        self.write(&delta.scan, &delta.entries)?;
        self.settled = vec![true; delta.scan.nodes().len()];
        self.scan = delta.scan;
        Ok(())
    }

    /// Sets the attributes of directories, and gives the clone away: nothing can be copied any more.
    pub fn complete(mut self) -> Result<CompleteClone> {
        self.replica.finish(&self.scan)?;
        Ok(CompleteClone {
            tree: self.replica.into_tree(),
            unrepresentable: self.scan.unrepresentable,
        })
    }
}

/// The bytes of file contents in a scan, each inode once, holes not counted.
pub fn content_size(scan: &Scan) -> u64 {
    let mut seen = HashSet::new();
    scan.nodes()
        .iter()
        .filter(|node| node.kind == Kind::File)
        .filter(|node| !node.has_other_links() || seen.insert(node.signature.inode))
        .map(|node| node.signature.size.min(node.signature.blocks * 512))
        .sum()
}

pub fn probe_grain(staging: &Path) -> Result<Grain> {
    let path: PathBuf = staging.join("freezeframe-grain");
    let file = File::create_new(&path)
        .with_context(|| format!("creating a file in {}", staging.display()))?;
    fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    Grain::probe(&file)
}
