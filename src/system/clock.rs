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
const NANOSECONDS: i64 = 1_000_000_000;

/// A moment in nanoseconds since the epoch; negative before it. What does not fit (before 1677, after 2262) is the
/// nearest that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    const EARLIEST: Self = Self(i64::MIN);
    const LATEST: Self = Self(i64::MAX);

    pub fn new(seconds: i64, nanoseconds: u32) -> Self {
        let whole = seconds.checked_mul(NANOSECONDS);
        let exact = whole.and_then(|whole| whole.checked_add(nanoseconds.into()));
        exact.map_or(
            if seconds < 0 {
                Self::EARLIEST
            } else {
                Self::LATEST
            },
            Self,
        )
    }

    /// Whole seconds, rounded down; `None` where the moment did not fit.
    pub fn seconds(self) -> Option<i64> {
        let fits = self != Self::EARLIEST && self != Self::LATEST;
        fits.then(|| self.0.div_euclid(NANOSECONDS))
    }

    /// How much later than `earlier` it is; nothing where it is not.
    pub fn since(self, earlier: Self) -> Duration {
        let nanoseconds = self.0.saturating_sub(earlier.0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))
    }

    /// What the kernel stamps now (`CLOCK_REALTIME_COARSE` of `clock_gettime(2)`).
    pub fn stamped_now() -> Self {
        Self::from(clock_gettime(ClockId::RealtimeCoarse))
    }
}

impl From<Timespec> for Moment {
    fn from(time: Timespec) -> Self {
        Self::new(time.tv_sec, u32::try_from(time.tv_nsec).unwrap_or(0))
    }
}

/// The longest time, in nanoseconds, within which two changes may get the same stamp.
#[derive(Clone, Copy, Debug)]
pub struct Grain(i64);

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
        stamp
            .0
            .checked_add(self.0)
            .is_some_and(|later| later <= now.0)
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
    fn moments_that_do_not_fit_are_the_nearest_and_separate_from_none() {
        let (early, late) = (Moment::new(i64::MIN, 0), Moment::new(i64::MAX, 0));
        assert_eq!((early.seconds(), late.seconds()), (None, None));
        assert_eq!(Moment::new(-1, 999_999_999).seconds(), Some(-1));
        assert!(!Grain(1).separates(late, late));
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
            super::super::identity::unique_name()
        ));
        let file = File::create_new(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }
}
