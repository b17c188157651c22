//! Changes made strictly one after the other: a tree shows which of them came last, so
//! one that mixes two moments gives itself away.
//!
//! `overwrite` is one long system call after the other, `relink` very many short ones
//! within one tick of the clock. Neither ever ends.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::thread;
use std::time::Duration;

const MIB: u64 = 1 << 20;
/// What a byte can tell apart; zero is what a hole reads as.
const GENERATIONS: u8 = 250;
/// Bursts and pauses, each shorter or about as long as a tick.
const STEPS_AT_ONCE: u64 = 4;
const PAUSE: Duration = Duration::from_millis(3);

/// A file of `mib` MiB, at first one hole. Each generation overwrites all of it by one
/// `pwrite` of one byte's value; a file beside it holds the last generation that is done.
pub fn overwrite(path: &Path, mib: u64) -> io::Result<()> {
    let file = File::create(path)?;
    file.set_len(mib * MIB)?;
    let done = File::create(path.with_extension("done"))?;
    done.write_all_at(&[0], 0)?;
    let length = usize::try_from(mib * MIB).map_err(io::Error::other)?;
    let mut content = vec![0; length];
    for generation in (1..=GENERATIONS).cycle() {
        content.fill(generation);
        if file.write_at(&content, 0)? != length {
            return Err(io::Error::other("a write that was cut short"));
        }
        done.write_all_at(&[generation], 0)?;
    }
    Ok(())
}

/// `count` symlinks, replaced in turn: in each step each gets the step as its target.
pub fn relink(directory: &Path, count: u64) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let new = directory.join("new");
    for step in 0_u64.. {
        for index in 0..count {
            symlink(format!("{step:012}"), &new)?;
            fs::rename(&new, directory.join(format!("{index:03}")))?;
        }
        if step == 0 {
            File::create(directory.join("ready"))?;
        }
        if step % STEPS_AT_ONCE == 0 {
            thread::sleep(PAUSE);
        }
    }
    Ok(())
}
