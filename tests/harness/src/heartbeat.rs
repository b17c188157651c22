//! How long a container stood still, as its heartbeat saw it.
//!
//! The reader's side of the probe's heartbeat: five words in a file on a tmpfs. A gap
//! that still lasts counts too, so a container that is frozen for good has a long one.

use crate::Result;
use crate::shell::wait_until;
use anyhow::Context;
use rustix::time::{ClockId, clock_gettime};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

/// Long, as a container may be frozen when a span is asked for.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Heartbeat {
    file: File,
}

/// The words that the probe writes; the first is ours.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Beat {
    wanted: u64,
    span: u64,
    last: u64,
    longest: u64,
    beats: u64,
}

impl Heartbeat {
    /// Waits for the first beats in the file of a probe that has been started.
    pub fn open(path: &Path) -> Result<Self> {
        let file = wait_until("the heartbeat's file", PATIENCE, || {
            Ok(File::options().read(true).write(true).open(path).ok())
        })?;
        let heartbeat = Self { file };
        wait_until("the first beats", PATIENCE, || {
            Ok((heartbeat.read().is_ok_and(|beat| beat.beats > 2)).then_some(()))
        })?;
        Ok(heartbeat)
    }

    /// Begins a new span: what came before no longer counts.
    pub fn reset(&self) -> Result {
        let next = self.read()?.wanted + 1;
        self.file.write_all_at(&next.to_le_bytes(), 0)?;
        wait_until("a new span of the heartbeat", PATIENCE, || {
            Ok((self.read()?.span == next).then_some(()))
        })
    }

    /// The longest gap of this span, one that still lasts included.
    pub fn longest(&self) -> Result<Duration> {
        let beat = self.read()?;
        let lasting = monotonic_now().saturating_sub(beat.last);
        Ok(Duration::from_nanos(beat.longest.max(lasting)))
    }

    /// The longest gap while `work` is under way.
    pub fn during<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
        self.reset()?;
        let done = work()?;
        Ok((done, self.longest()?))
    }

    /// The longest gap over some time in which nothing is done to the container.
    pub fn idle(&self, span: Duration) -> Result<Duration> {
        let ((), longest) = self.during(|| {
            std::thread::sleep(span);
            Ok(())
        })?;
        Ok(longest)
    }

    pub fn beats(&self) -> Result<u64> {
        Ok(self.read()?.beats)
    }

    /// Read until two readings agree: a single one may catch a store half done.
    fn read(&self) -> Result<Beat> {
        let mut before = self.read_once()?;
        for _ in 0..1000 {
            let now = self.read_once()?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
        Ok(before)
    }

    fn read_once(&self) -> Result<Beat> {
        let mut bytes = [0; 40];
        self.file
            .read_exact_at(&mut bytes, 0)
            .context("reading the heartbeat")?;
        let (words, _) = bytes.as_chunks::<8>();
        let word = |index: usize| u64::from_le_bytes(words[index]);
        Ok(Beat {
            wanted: word(0),
            span: word(1),
            last: word(2),
            longest: word(3),
            beats: word(4),
        })
    }
}

fn monotonic_now() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}
