//! The heartbeat: how long did this container stand still?
//!
//! Beats every half millisecond and keeps the longest gap between two beats in a
//! mapped file of five words (`Word`), which the harness reads on the host. The
//! file belongs on a tmpfs, where no store ever waits for a disk. The gap covers all
//! that a program inside would feel: freezing, waiting for a processor, and the half
//! millisecond itself. A gap that has not ended is the reader's to add (now − LAST).
//! One that works between two beats instead of resting shows by their number how much
//! of a processor it is given.

use crate::mapping::{self, Words};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

const PERIOD: Duration = Duration::from_micros(500);
const FILE_LENGTH: usize = 4096;
const STEPS: u64 = 200_000;

/// The file's layout, little end first as every machine that we test on.
enum Word {
    /// Raised by the host to begin a new span; never written here.
    Wanted,
    /// The span that `Longest` is about.
    Span,
    /// `CLOCK_MONOTONIC` of the last beat, in nanoseconds.
    Last,
    /// The longest gap of this span, in nanoseconds.
    Longest,
    /// How many beats there were in all.
    Beats,
}

pub fn rest() {
    std::thread::sleep(PERIOD);
}

/// The same number of steps every time, some tenths of a millisecond.
pub fn work() {
    (0..STEPS).fold(1_u64, |sum, step| {
        std::hint::black_box(sum.wrapping_mul(31) ^ step)
    });
}

pub fn beat(path: &Path, between: fn()) -> io::Result<()> {
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.set_len(FILE_LENGTH as u64)?;
    let words = mapping::shared(&file, FILE_LENGTH)?;
    let mut gaps = Gaps::starting_at(now());
    loop {
        between();
        gaps.note(now(), words[Word::Wanted as usize].load(Ordering::SeqCst));
        publish(words, &gaps);
    }
}

/// Stored in the order that keeps a reader honest: `Span` last, so that a span which
/// reads as begun never shows the gap of the one before.
fn publish(words: Words, gaps: &Gaps) {
    let store = |word: Word, value| words[word as usize].store(value, Ordering::SeqCst);
    store(Word::Longest, gaps.longest);
    store(Word::Last, gaps.last);
    store(Word::Beats, gaps.beats);
    store(Word::Span, gaps.span);
}

struct Gaps {
    span: u64,
    last: u64,
    longest: u64,
    beats: u64,
}

impl Gaps {
    fn starting_at(now: u64) -> Self {
        Self {
            span: 0,
            last: now,
            longest: 0,
            beats: 0,
        }
    }

    /// One beat. The gap in which a new span was asked for counts to the old one.
    fn note(&mut self, now: u64, wanted: u64) {
        let gap = now - self.last;
        self.longest = if wanted == self.span {
            self.longest.max(gap)
        } else {
            0
        };
        self.span = wanted;
        self.last = now;
        self.beats += 1;
    }
}

fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock exists on every Linux, and the pointer is to our own value.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_gap_is_kept_until_a_new_span() {
        let mut gaps = Gaps::starting_at(1_000);
        gaps.note(1_500, 0);
        gaps.note(9_500, 0);
        gaps.note(10_000, 0);
        assert_eq!((gaps.longest, gaps.beats), (8_000, 3));
        gaps.note(10_600, 1);
        assert_eq!((gaps.longest, gaps.span), (0, 1));
        gaps.note(11_300, 1);
        assert_eq!(gaps.longest, 700);
    }
}
