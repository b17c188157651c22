//! The clone and what is known of it: passes over the source that make the two equal.
//!
//! The order within a pass is the argument for its soundness: the look at who holds which files, the scan, the clock, another
//! look, then writing back what is copied, then for each file the wait for a write under way, the copy. An entry is settled
//! when a change after its copy is bound to show in the next scan. A pass over a running container may leave unsettled entries; the
//! pass under the freeze leaves none.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::ledger::{Ledger, Move};
use super::material::{ReadEntry, Reader};
use super::removal;
use super::replica::Replica;
use super::scan::Scan;
use super::signature::{Kind, Signature};
use super::space::Room;
use super::staging::{StagedFile, Staging};
use super::update::Changes;
use super::work::Work;
use super::worker::{Settling, Worker};
use super::write_back::{FEW_FILES, WriteBack};
use super::writers::Writers;
use crate::system::check::{Check, unless_stopped};
use crate::system::clock::{Grain, Moment};
use crate::system::sync::DiskSync;
use crate::system::tree::Tree;
use crate::system::workers;

/// Contents read at once; a change that fits is read under the freeze without touching a disk.
const MOST_MEMORY: u64 = 64 << 20;
const LEAST_MEMORY: u64 = 1 << 20;
/// Entries that one thread reads before it takes more.
pub const ENTRIES_AT_ONCE: usize = 64;

/// Asked for the container's processes, which come and go.
pub type Processes<'a> = dyn Fn() -> Result<Vec<u32>> + 'a;

/// What a pass did. `changed` counts entries.
pub struct Pass {
    pub changed: usize,
    pub elapsed: Duration,
}

/// A clone that is what the source was.
pub struct CompleteClone {
    pub tree: Tree,
    pub room: Room,
    /// Entries left out because no layer can carry their names.
    pub unrepresentable: usize,
}

/// What a clone is made under.
pub struct Terms {
    pub grain: Grain,
    /// Whether equal signatures mean equal content on this file system. Where not, everything is compared or read under the
    /// freeze, and nothing shared: both are known to be sound on the same file systems.
    pub trusts_signatures: bool,
    /// The bytes of file contents in the first scan.
    pub content: u64,
    /// In bytes.
    pub least_to_compare: u64,
    /// How long a freeze may last: under one, nothing is waited for that would take longer.
    pub hold: Duration,
    /// Copying is given up where that is no longer free.
    pub room: Room,
}

/// A clone in the making, and the scan that it mirrors.
pub struct Cloning<'tree> {
    source: &'tree Tree,
    pub(super) replica: Replica,
    pub(super) staging: Arc<Staging>,
    write_back: WriteBack,
    pub(super) workers: Vec<Worker<'tree>>,
    pub(super) scan: Scan,
    pub(super) ledger: Ledger,
    pub(super) writers: Writers,
    settling: Settling,
    room: Room,
    /// Whether equal signatures mean equal content on this file system.
    pub(super) trusts: bool,
    /// Bytes of file contents copied so far.
    pub bytes: u64,
}

impl<'tree> Cloning<'tree> {
    /// `upper` is the empty directory to clone into, `staging` one beside it, on the same file system.
    ///
    /// `scan` is of `source` and was made just now; `writers` were looked at before.
    pub fn new(
        source: &'tree Tree,
        upper: &Path,
        staging: &Path,
        writers: Writers,
        scan: Scan,
        terms: Terms,
    ) -> Result<Self> {
        let Terms {
            grain,
            trusts_signatures: trusts,
            content,
            least_to_compare,
            hold,
            room,
        } = terms;
        let replica = Replica::new(upper)?;
        let staging = Arc::new(Staging::new(staging));
        let count = workers::most();
        let memory = content.min(MOST_MEMORY) / count as u64;
        let memory = usize::try_from(memory.max(LEAST_MEMORY))?;
        let worker = |number| {
            let reader = Reader::new(source, staging.clone(), memory, trusts, hold);
            Worker::new(number, reader, upper)
        };
        Ok(Self {
            source,
            write_back: WriteBack::of(replica.tree())?,
            replica,
            workers: (0..count).map(worker).collect::<Result<_>>()?,
            staging,
            ledger: Ledger::of(&scan, least_to_compare),
            scan,
            writers,
            settling: Settling {
                grain,
                since: Moment::stamped_now(),
            },
            room,
            trusts,
            bytes: 0,
        })
    }

    /// Whether there is room for a layer of what is in the clone, now that this is complete.
    pub fn check_room_for_layer(&self) -> Result<()> {
        self.room.check_for_layer()
    }

    /// Leaves it to the layer to have the clone written back, if there is room for its bytes and few are in small files: a
    /// later pass with more than a few files would wait for all of it, so that none should be expected.
    pub fn put_write_back_off(&mut self, expected: u64, small: u64) {
        self.write_back.put_off(expected, small);
    }

    /// Scans, and copies what is not settled, while the container may run.
    pub fn pass(&mut self, processes: &Processes) -> Result<Pass> {
        self.pass_over(processes, false)
    }

    /// The same, but for what changes again and again and is soon copied: it will have changed by the freeze.
    pub fn pass_ahead(&mut self, processes: &Processes) -> Result<Pass> {
        self.pass_over(processes, true)
    }

    fn pass_over(&mut self, processes: &Processes, leaves_hot: bool) -> Result<Pass> {
        // Direct I/O may be in flight of a file that is closed by the time of the copy, or that was opened since.
        self.writers.look(&processes()?)?;
        self.update(&unless_stopped)?;
        self.copy_updated(processes, leaves_hot)
    }

    /// The first pass, over what was scanned just now.
    pub fn copy_scanned(&mut self, processes: &Processes) -> Result<Pass> {
        self.copy_updated(processes, false)
    }

    pub(super) fn copy_updated(&mut self, processes: &Processes, leaves_hot: bool) -> Result<Pass> {
        // Before anybody asks which processes there are: one that comes later writes later.
        self.settling.since = Moment::stamped_now();
        self.writers.look(&processes()?)?;
        self.copy(leaves_hot)
    }

    /// Whether the source still looks as it did at the last scan.
    pub fn still_holds(&mut self) -> Result<bool> {
        self.update(&unless_stopped)
    }

    /// Scans again; returns whether nothing has changed.
    pub(super) fn update(&mut self, check: &Check) -> Result<bool> {
        let mut changes = Changes::default();
        let updated = self.scan.update(self.source, check, &mut changes);
        // No later scan finds again what this one knows of.
        self.ledger.note(&self.scan, &changes);
        updated.map(|()| changes.is_empty())
    }

    /// Forgets what was read before.
    pub(super) fn begin_reading(&mut self, is_ahead: bool) {
        for worker in &mut self.workers {
            worker.reader.begin(is_ahead);
        }
    }

    fn copy(&mut self, leaves_hot: bool) -> Result<Pass> {
        let began = Instant::now();
        self.staging.clean_up();
        self.begin_reading(true);
        let is_left = |index| leaves_hot && self.ledger.is_hot(&self.scan, index);
        let work = Work::of(&self.scan, &self.ledger, &HashSet::new(), is_left);
        self.sync(&work)?;
        let directories = self.read_directories(&work)?;
        self.rearrange(&work, &directories)?;
        let vanished = self.copy_files(&work)?;
        self.drop_vanished(vanished)?;
        self.link_files(&work)?;
        self.write_back.settle()?;
        let readers = self.workers.iter().map(|worker| &worker.reader);
        self.bytes += readers.map(|reader| reader.bytes).sum::<u64>();
        Ok(Pass {
            changed: work.entries.len(),
            elapsed: began.elapsed(),
        })
    }

    /// Has the contents that are to be copied on disk, so that the next store through a mapping moves the change time.
    fn sync(&mut self, work: &Work) -> Result<()> {
        let sync = match self.few_files(work)? {
            Some(files) if files.is_empty() => return Ok(()),
            Some(files) => DiskSync::of_contents(files)?,
            None => DiskSync::of_file_system(&self.source.root())?,
        };
        sync.wait()
    }

    /// The files to be synced by themselves, so that the clone is not; `None` where it takes a syncfs.
    fn few_files(&mut self, work: &Work) -> Result<Option<Vec<OwnedFd>>> {
        if !self.write_back.has_put_off() {
            return Ok(None);
        }
        let others = [&work.small[..], &work.large].concat();
        let files = self.scan.with_content(&others).map(|(index, _)| index);
        let files: Vec<usize> = files.collect();
        if files.len() > FEW_FILES {
            return Ok(None);
        }
        self.workers[0].reader.open_all(&self.scan, &files)
    }

    fn read_directories(&mut self, work: &Work) -> Result<Vec<ReadEntry>> {
        let check: &Check = &unless_stopped;
        let worker = &mut self.workers[0];
        let mut read = |index: &usize| {
            check()?;
            worker.read(&self.scan, *index, None, check)
        };
        work.directories.iter().map(&mut read).collect()
    }

    /// Moves files to where they belong, removes what has to go, and makes directories.
    pub(super) fn rearrange(&mut self, work: &Work, directories: &[ReadEntry]) -> Result<()> {
        let mut taken_out: Vec<(Move, StagedFile)> = Vec::new();
        for &one in &work.moves {
            let aside = self.staging.place();
            self.replica.take_out(&self.scan, one.from, &aside.path)?;
            taken_out.push((one, aside));
        }
        self.ledger.moved(&work.moves);
        let stays = |index| work.copies.contains_key(&index);
        let removals = self.ledger.take_removals(&self.scan, &work.entries, stays);
        self.remove(removals)?;
        for some in directories.chunks(ENTRIES_AT_ONCE) {
            self.room.check()?;
            some.iter().try_for_each(|directory| self.make(directory))?;
        }
        for (one, aside) in taken_out {
            if self.replica.put_in(&self.scan, one.to, &aside.path)? {
                self.ledger.made(&self.scan, one.to, one.is_whole);
            }
        }
        Ok(())
    }

    /// Removes entries of the clone.
    fn remove(&mut self, removals: Vec<(usize, Kind)>) -> Result<()> {
        removal::remove(self.replica.tree(), &self.scan, removals)?;
        let others = self.workers.iter_mut().map(|worker| &mut worker.replica);
        for replica in others.chain([&mut self.replica]) {
            replica.forget_directory();
        }
        Ok(())
    }

    /// Removes the copies of what had vanished when it was to be read, and had other names: they would be links to what it was.
    pub(super) fn drop_vanished(&mut self, mut vanished: HashSet<usize>) -> Result<()> {
        vanished.retain(|index| self.scan.node(*index).has_other_links());
        self.remove(vanished.iter().map(|index| (*index, Kind::File)).collect())?;
        for index in vanished {
            self.ledger.unmade(index);
        }
        Ok(())
    }

    /// Makes the further names of files. Where the first has vanished, the next one that has not takes its part.
    fn link_files(&mut self, work: &Work) -> Result<()> {
        let mut stand_ins: HashMap<usize, usize> = HashMap::new();
        for &(index, first) in &work.links {
            let source = *stand_ins.get(&first).unwrap_or(&first);
            if self.ledger.is_made(source) {
                self.make(&ReadEntry::link(index, source))?;
                continue;
            }
            let before = self.workers[0].reader.bytes;
            let room = &self.room;
            let check: &Check = &|| unless_stopped().and_then(|()| room.check());
            let entry = self.workers[0].read(&self.scan, index, None, check)?;
            self.make(&entry)?;
            let reader = &mut self.workers[0].reader;
            reader.memory.reuse();
            self.write_back.wrote(reader.bytes - before)?;
            stand_ins.insert(first, index);
        }
        Ok(())
    }

    /// Makes an entry that has no content, or whose content is with the first worker.
    fn make(&mut self, entry: &ReadEntry) -> Result<()> {
        let memory = &self.workers[0].reader.memory;
        if self.replica.write(&self.scan, entry, memory)? {
            let is_settled = self.settling.settles(&self.scan, entry);
            self.ledger.made(&self.scan, entry.index, is_settled);
        }
        Ok(())
    }

    /// Copies the files; returns those with a copy that had vanished. Large ones keep the disk busy and small ones the
    /// processors, so one worker begins with the large ones, the others with the small.
    fn copy_files(&mut self, work: &Work) -> Result<HashSet<usize>> {
        let large = work.large.chunks(1);
        let parts: Vec<&[usize]> = large.chain(work.small.chunks(ENTRIES_AT_ONCE)).collect();
        let (scan, settling, ledger) = (&self.scan, self.settling, &self.ledger);
        let (write_back, room) = (&self.write_back, &self.room);
        let check: &Check = &unless_stopped;
        let check_all: &Check = &|| check().and_then(|()| room.check());
        let workers = &mut self.workers;
        let made = workers::with_each(workers, parts.len(), 1, |worker, range| {
            let (mut made, mut entries) = (Vec::new(), Vec::new());
            let before = worker.reader.bytes;
            let files = parts[range.start];
            // One by itself is asked for no sooner than it is read; it may fill the disk.
            let is_large = files.len() == 1;
            if !is_large {
                worker.reader.fetch(scan, files);
            }
            let meanwhile = if is_large { check_all } else { check };
            for &index in files {
                check()?;
                let has_copy = work.copies.contains_key(&index) && ledger.is_made(index);
                entries.push(worker.read(scan, index, has_copy.then_some(index), meanwhile)?);
                if worker.reader.memory.has_enough() {
                    worker.write(scan, settling, &mut entries, &mut made)?;
                }
            }
            worker.write(scan, settling, &mut entries, &mut made)?;
            write_back.wrote(worker.reader.bytes - before)?;
            room.check()?;
            Ok(made)
        })?;
        let mut vanished: HashSet<usize> = work.copies.keys().copied().collect();
        for (index, is_settled) in made.into_iter().flatten() {
            self.ledger.made(&self.scan, index, is_settled);
            vanished.remove(&index);
        }
        Ok(vanished)
    }

    /// Sets the attributes of directories, and gives the clone away: nothing can be copied any more.
    pub fn complete(self) -> Result<CompleteClone> {
        self.replica.finish(&self.scan)?;
        Ok(CompleteClone {
            tree: self.replica.into_tree(),
            room: self.room,
            unrepresentable: self.scan.unrepresentable(),
        })
    }

    /// Whether the entry `name` of the root is settled.
    #[cfg(test)]
    pub fn is_settled(&self, name: &str) -> bool {
        self.ledger.is_settled(self.scan.find(name))
    }
}

/// The bytes of file contents in a scan, each inode once, holes not counted.
pub fn content_size(scan: &Scan) -> u64 {
    size_of_files(scan, u64::MAX)
}

/// The same of files that are smaller than this.
pub fn size_of_files(scan: &Scan, limit: u64) -> u64 {
    let signatures = scan.files().map(|index| &scan.node(index).signature);
    signatures
        .filter(|signature| signature.size() < limit)
        .map(Signature::allocated)
        .sum()
}

pub fn probe_grain(staging: &Path) -> Result<Grain> {
    let path: PathBuf = staging.join("freezeframe-grain");
    let file = File::create_new(&path)
        .with_context(|| format!("creating a file in {}", staging.display()))?;
    fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
    Grain::probe(&file)
}
