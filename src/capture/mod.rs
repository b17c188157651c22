//! Capture: a consistent copy of a container's own changes, for which its processes stop for milliseconds.
//!
//! Pre-copy, as in a live migration: clone while it runs, freeze, read what changed since, thaw, write that. A container
//! that does not run is left in its state, and what was read of it counts if nothing has changed by the end; one that is
//! not to be paused is copied until two scans agree, within a bound.

mod clone;
mod create;
mod delta;
mod difference;
pub mod directory;
mod ledger;
pub mod lower;
mod material;
mod memory;
pub mod open_directory;
pub mod overlay_attributes;
mod paths;
mod removal;
mod replica;
pub mod scan;
mod sharing;
pub mod signature;
pub mod size;
pub mod space;
mod staging;
mod standing;
#[cfg(test)]
mod tests;
pub mod unchanged;
mod update;
mod work;
mod worker;
mod write_back;
pub mod writers;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::containerd::{Containerd, OverlayMount, Task};
use crate::freeze::{Attempt, Freezer, Frozen, HOLD_BOUND, Stuck, thaw_abandoned};
use crate::log;
use crate::plan::Subject;
use crate::settings::Reserve;
use crate::stages::Stages;
use crate::system::cache;
use crate::system::check::unless_stopped;
use crate::system::clock::Moment;
use crate::system::priority::{Ordinary, yielding};
use crate::system::signals;
use crate::system::tree::{self, Tree};
use clone::{Cloning, Terms, content_size, probe_grain, size_of_files};
use delta::Delta;
use ledger::LEAST_TO_COMPARE;
use scan::Scan;
use space::{Room, TooLittle};
use standing::Standing;
use write_back::FEW_FILES;
use writers::Writers;

/// Passes before the freeze stop when they are so short, or no longer become shorter.
const MOST_PASSES: usize = 4;
const SHORT_PASS: Duration = Duration::from_millis(150);
/// Tries before it is said that the container does not hold still: it may be stopping and starting.
const MOST_TRIES: usize = 20;
/// Freezes that end because they last too long, or are expected to after one that did.
const MOST_LONG_FREEZES: usize = 3;
/// Freezes that do not come about because a process is stuck: a pass in between waits for a long write to end.
const MOST_STUCK_FREEZES: usize = 3;
/// What has not changed for so long is expected not to while it is copied.
const QUIET: Duration = Duration::from_secs(10);
/// Passes under `--pause=false`.
const MOST_ROLLING_PASSES: usize = 10;

/// What is captured, and how.
pub struct Capture<'a> {
    pub containerd: &'a Containerd,
    pub subject: &'a Subject,
    pub name_in_marks: &'a str,
    /// The container's upper directory.
    pub upper: &'a Path,
    /// Whether equal signatures mean equal content on its file system.
    pub trusts_signatures: bool,
    /// The prepared snapshot, whose upper directory becomes the clone.
    pub prepared: &'a OverlayMount,
    pub pause: bool,
    /// How long it may be frozen; without it, `HOLD_BOUND`.
    pub max_pause: Option<Duration>,
    /// What is to stay free on the disk.
    pub reserve: Reserve,
}

/// The finished clone, and what it took.
pub struct Captured {
    pub tree: Tree,
    pub room: Room,
    pub bytes_cloned: u64,
    pub warnings: Vec<String>,
}

/// What the freezes have come to, whatever becomes of the capture.
#[derive(Default)]
pub struct Tally {
    /// How long the container was frozen, in all.
    pub frozen: Duration,
    pub bytes_copied_frozen: u64,
    pub bytes_compared_frozen: u64,
    unstable: usize,
    too_long: usize,
    stuck: usize,
    /// The shortest and the longest freeze that rehearsals found to be needed.
    needed: Option<(Duration, Duration)>,
    /// What thaws a container that somebody else had frozen behind containerd's back.
    found_frozen: Option<String>,
}

impl Tally {
    /// Takes note of a freeze that failed.
    ///
    /// # Errors
    /// It is not to be tried again.
    fn failed(&mut self, error: anyhow::Error) -> Result<()> {
        if let Some(stuck) = error.downcast_ref::<Stuck>() {
            self.frozen += stuck.waited;
            self.stuck += 1;
            if self.stuck < MOST_STUCK_FREEZES {
                return Ok(());
            }
        }
        Err(error)
    }
}

impl Capture<'_> {
    pub fn run(&self, stages: &mut Stages, tally: &mut Tally) -> Result<Captured> {
        let source = Tree::open(self.upper)
            .with_context(|| format!("opening the upper directory {}", self.upper.display()))?;
        let mut writers = Writers::default();
        writers.look(&self.processes()?)?;
        let grain = probe_grain(&self.prepared.work)?;
        // Without a grain no change time vouches for a directory's names.
        let for_names = self.trusts_signatures.then_some(grain);
        let scan = stages.time("scan", || Scan::of_changing(&source, for_names))?;
        size::check(&source, &scan)?;
        let (upper, staging) = (&self.prepared.upper, &self.prepared.work);
        paths::check(upper, &scan)?;
        let content = content_size(&scan);
        let terms = Terms {
            grain,
            trusts_signatures: self.trusts_signatures,
            content,
            least_to_compare: LEAST_TO_COMPARE,
            hold: self.hold(),
            room: self.room(&scan, content)?,
        };
        let mut clone = Cloning::new(&source, upper, staging, writers, scan, terms)?;
        if changes_little(&clone.scan, Moment::stamped_now()) {
            let small = size_of_files(&clone.scan, cache::PORTION);
            clone.put_write_back_off(content, small);
        }
        thaw_abandoned(self.containerd, self.subject)?;
        stages.time("copy", || yielding(|| self.copy_ahead(&mut clone)))?;
        stages.time("freeze", || self.copy_rest(&mut clone, tally))?;
        self.check_still_there(&source)?;
        clone.check_room_for_layer()?;
        stages.time("finish", || finish(clone, tally))
    }

    /// The room that there is for `content` bytes. Where there is none, what the daemon collects is waited for: an image
    /// that the last commit has replaced may be as large.
    fn room(&self, scan: &Scan, content: u64) -> Result<Room> {
        let check = || space::check(&self.prepared.upper, scan, content, self.reserve);
        match check() {
            Err(error) if error.is::<TooLittle>() => {
                if let Err(failed) = self.containerd.collect_garbage() {
                    signals::check()?;
                    log::debug(&format!("nothing was collected: {failed:#}"));
                }
                check()
            }
            room => room,
        }
    }

    /// Passes over the running container until they are short.
    fn copy_ahead(&self, clone: &mut Cloning) -> Result<()> {
        let mut previous = clone.copy_scanned(&|| self.processes())?;
        for _ in 1..MOST_PASSES {
            if previous.elapsed < SHORT_PASS || previous.changed == 0 {
                break;
            }
            let pass = clone.pass_ahead(&|| self.processes())?;
            let shrinks = pass.elapsed < previous.elapsed * 2 / 3;
            previous = pass;
            if !shrinks {
                break;
            }
        }
        Ok(())
    }

    /// Makes the clone what the container is at one moment.
    fn copy_rest(&self, clone: &mut Cloning, tally: &mut Tally) -> Result<()> {
        for _ in 0..MOST_TRIES {
            let delta = match self.standing()? {
                Standing::Running { .. } if !self.pause => {
                    yielding(|| self.roll(clone))?;
                    return Ok(());
                }
                Standing::Running { .. } if !self.fits(clone, tally)? => None,
                Standing::Running { freezer, pid } => {
                    let before = tally.frozen;
                    let outcome = self.freeze_and_read(clone, &freezer, pid, tally);
                    let has_thawed = outcome.is_err() || tally.frozen > before;
                    let kept = if has_thawed {
                        self.keep_paused(&freezer, pid)
                    } else {
                        Ok(())
                    };
                    let outcome = outcome.and_then(|delta| kept.map(|()| delta));
                    self.unless_ended(outcome, pid)?
                }
                Standing::Quiet { task, thaws } => {
                    let delta = self.read_quiet(clone, &task)?;
                    tally.found_frozen = thaws.filter(|_| delta.is_some());
                    delta
                }
            };
            if let Some(delta) = delta {
                tally.unstable = delta.unstable;
                clone.apply(delta)?;
                return Ok(());
            }
            if tally.too_long == MOST_LONG_FREEZES {
                break;
            }
            clone.pass_ahead(&|| self.processes())?;
        }
        bail!(self.too_busy(tally))
    }

    /// Whether a freeze is expected to end within its bound. Where nobody set that, this is asked once one has not.
    fn fits(&self, clone: &mut Cloning, tally: &mut Tally) -> Result<bool> {
        if self.max_pause.is_none() && tally.too_long == 0 {
            return Ok(true);
        }
        let expected = {
            let _prompt = Ordinary::at_least();
            clone.rehearse()?
        };
        let (shortest, longest) = tally.needed.unwrap_or((expected, expected));
        tally.needed = Some((shortest.min(expected), longest.max(expected)));
        let fits = expected <= self.hold();
        if self.max_pause.is_none() && !fits {
            tally.too_long += 1;
        }
        Ok(fits)
    }

    /// How long a freeze may last.
    fn hold(&self) -> Duration {
        self.max_pause.unwrap_or(HOLD_BOUND)
    }

    fn too_busy(&self, tally: &Tally) -> String {
        let is_too_long =
            |(shortest, _): &(Duration, Duration)| tally.too_long > 0 || *shortest > self.hold();
        let Some((shortest, longest)) = tally.needed.filter(is_too_long) else {
            return "the container does not stay frozen, or stops and starts again and again: try again later, or use \
                    --pause=false"
                .to_owned();
        };
        let [shortest, longest] = [shortest, longest].map(|time| time.as_millis() + 1);
        let needed = if tally.too_long > 0 {
            format!("{} ms or longer", longest.max(self.hold().as_millis()))
        } else if shortest == longest {
            format!("{longest} ms")
        } else {
            format!("{shortest} to {longest} ms")
        };
        let bound = match self.max_pause {
            Some(most) => format!("--max-pause {most:?} (or FREEZEFRAME_MAX_PAUSE): allow more"),
            None => format!("{HOLD_BOUND:?}: allow more with --max-pause"),
        };
        format!(
            "the container would have to be frozen for about {needed}, which is more than {bound}, try \
             again when it is less busy or holds less, or use --pause=false"
        )
    }

    /// Reads the delta of a container that does not run; `None` where it has begun to, if only in between.
    fn read_quiet(&self, clone: &mut Cloning, before: &Task) -> Result<Option<Delta>> {
        let delta = clone.read_delta(&unless_stopped)?;
        clone.bytes += delta.bytes;
        let stayed = matches!(self.standing()?, Standing::Quiet { task, .. } if task == *before);
        Ok((stayed && clone.still_holds()?).then_some(delta))
    }

    /// Reads the delta under a freeze; `None` where that took too long or the freeze did not hold.
    fn freeze_and_read(
        &self,
        clone: &mut Cloning,
        freezer: &Freezer,
        pid: u32,
        tally: &mut Tally,
    ) -> Result<Option<Delta>> {
        clone.prepare_delta();
        let _prompt = Ordinary::at_least();
        let frozen = match freezer.freeze(self.name_in_marks, self.hold(), || self.still_runs(pid))
        {
            Err(error) => return tally.failed(error).map(|()| None),
            Ok(Attempt::GivenUp(felt)) => {
                tally.frozen += felt;
                return Ok(None);
            }
            Ok(Attempt::Frozen(frozen)) => frozen,
        };
        let delta = read_frozen(clone, &frozen);
        let was_held = frozen.holds();
        tally.frozen += frozen.thaw()?;
        match delta {
            Err(error) if error.is::<TooLong>() => {
                tally.too_long += 1;
                Ok(None)
            }
            Err(error) => Err(error),
            // A container that ended meanwhile has no freezer to ask.
            Ok(delta) if was_held.unwrap_or(false) => {
                tally.bytes_copied_frozen += delta.bytes;
                tally.bytes_compared_frozen += delta.compared;
                Ok(Some(delta))
            }
            Ok(_) => Ok(None),
        }
    }

    /// Passes until nothing changes any more, or the bound is reached and what is there must do.
    fn roll(&self, clone: &mut Cloning) -> Result<()> {
        for _ in 0..MOST_ROLLING_PASSES {
            if clone.pass(&|| self.processes())?.changed == 0 {
                break;
            }
        }
        Ok(())
    }

    /// A snapshot that was removed while we read it may have been read half-removed.
    fn check_still_there(&self, source: &Tree) -> Result<()> {
        let (snapshotter, key) = (&self.subject.snapshotter, &self.subject.snapshot_key);
        let root = tree::stat(source.root()).context("reading the upper directory")?;
        let is_there = root.stx_nlink > 0 && self.containerd.snapshot(snapshotter, key)?.is_some();
        is_there.then_some(()).ok_or_else(|| self.subject.removed())
    }
}

/// Whether so few entries have changed lately that few are expected to.
fn changes_little(scan: &Scan, now: Moment) -> bool {
    let changed = scan.nodes().iter().map(|node| node.signature.changed);
    let lately = changed.filter(|changed| now.since(*changed) < QUIET);
    lately.count() <= FEW_FILES
}

/// The freeze has lasted as long as it may.
#[derive(Debug, thiserror::Error)]
#[error("the freeze has lasted too long")]
struct TooLong;

fn read_frozen(clone: &mut Cloning, frozen: &Frozen) -> Result<Delta> {
    let deadline = frozen.deadline();
    let check = move || {
        signals::check()?;
        ensure!(Instant::now() < deadline, TooLong);
        Ok(())
    };
    clone.read_delta(&check)
}

fn finish(clone: Cloning, tally: &Tally) -> Result<Captured> {
    let bytes_cloned = clone.bytes;
    let clone = clone.complete()?;
    let mut warnings = Vec::new();
    if clone.unrepresentable > 0 {
        warnings.push(format!(
            "{} entries are left out: their names begin with .wh., which means deletion in a layer",
            clone.unrepresentable
        ));
    }
    if tally.unstable > 0 {
        warnings.push(format!(
            "{} files changed while the container was frozen: something outside of it writes to them",
            tally.unstable
        ));
    }
    if let Some(thaws) = &tally.found_frozen {
        warnings.push(format!(
            "the container is frozen, by somebody that containerd does not know of, and stays so: `{thaws}` thaws it"
        ));
    }
    Ok(Captured {
        tree: clone.tree,
        room: clone.room,
        bytes_cloned,
        warnings,
    })
}
