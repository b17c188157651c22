//! Time as file systems stamp it.
//!
//! An inode's change time is read off the coarse clock, which stands still between two ticks: a second change within
//! one tick leaves it as it was. `Grain` is how long such a tick is on one file system, never less.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::Timespec;
use rustix::time::{ClockId, clock_getres, clock_gettime};

/// Some ticks of the slowest clock there is (100 per second).
const PROBE_TIME: Duration = Duration::from_millis(35);
const PROBE_PAUSE: Duration = Duration::from_millis(5);
const NANOSECONDS: i128 = 1_000_000_000;

/// A moment in nanoseconds since the epoch; negative before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i128);

impl Moment {
    pub fn new(seconds: i64, nanoseconds: u32) -> Self {
        Self(i128::from(seconds) * NANOSECONDS + i128::from(nanoseconds))
    }

    /// Whole seconds, rounded down.
    pub fn seconds(self) -> i64 {
        // It was made of 64-bit seconds.
        i64::try_from(self.0.div_euclid(NANOSECONDS)).unwrap_or_default()
    }

    /// What the kernel stamps now (`CLOCK_REALTIME_COARSE` of `clock_gettime(2)`).
    pub fn stamped_now() -> Self {
        Self::from(clock_gettime(ClockId::RealtimeCoarse))
    }
}

impl From<Timespec> for Moment {
    fn from(time: Timespec) -> Self {
        Self(i128::from(time.tv_sec) * NANOSECONDS + i128::from(time.tv_nsec))
    }
}

/// The longest time, in nanoseconds, within which two changes may get the same stamp.
#[derive(Clone, Copy, Debug)]
pub struct Grain(i128);

impl Grain {
    /// Finds the grain by stamping a fresh file. `file` is empty, and of the file system that is asked about.
    pub fn probe(mut file: &File) -> Result<Self> {
        let tick = Moment::from(clock_getres(ClockId::RealtimeCoarse)).0;
        let began = Instant::now();
        while began.elapsed() < PROBE_TIME {
            file.write_all(b"x").context("probing time stamps")?;
            let stat = rustix::fs::fstat(file.as_fd()).context("probing time stamps")?;
            if stat.st_ctime_nsec != 0 {
                return Ok(Self(tick));
            }
            std::thread::sleep(PROBE_PAUSE);
        }
        Ok(Self(NANOSECONDS))
    }

    /// Whether a change made at `now` or later is bound to get a stamp other than `stamp`.
    pub fn separates(self, stamp: Moment, now: Moment) -> bool {
        stamp.0 + self.0 <= now.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_of_this_tick_or_of_the_future_is_not_separate() {
        let grain = Grain(4_000_000);
        let stamp = Moment::new(100, 0);
        assert!(!grain.separates(stamp, Moment::new(100, 3_999_999)));
        assert!(grain.separates(stamp, Moment::new(100, 4_000_000)));
        assert!(!grain.separates(stamp, Moment::new(99, 0)));
    }

    #[test]
    fn whole_second_stamps_have_a_grain_of_a_second() {
        let file = tempfile();
        let grain = Grain::probe(&file).unwrap();
        assert!(grain.0 > 0 && grain.0 <= NANOSECONDS);
    }

    fn tempfile() -> File {
        let path = std::env::temp_dir().join(format!(
            "freezeframe-{}",
            super::super::process::unique_name()
        ));
        let file = File::create_new(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }
}
