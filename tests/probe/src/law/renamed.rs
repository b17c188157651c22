//! Two files that are only ever replaced whole, by a rename over them.
//!
//! Each holds its round, a body of some length, and a checksum over both. `first` is
//! replaced before `second`. So at every instant each file is whole, and `first` is
//! of the same round as `second` or of the next. What lies beside them, being
//! written, keeps no law.

use super::{BREATH, Writer, read, violation};
use crate::random::Random;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;

const LONGEST: u64 = 64 << 10;

pub fn writer(directory: &Path) -> io::Result<Writer> {
    let directory = directory.to_path_buf();
    fs::create_dir_all(&directory)?;
    replace(&directory, "first", 0)?;
    replace(&directory, "second", 0)?;
    Ok(Box::new(move || {
        for round in 1_u64.. {
            replace(&directory, "first", round)?;
            replace(&directory, "second", round)?;
            thread::sleep(BREATH * 5);
        }
        Ok(())
    }))
}

fn replace(directory: &Path, name: &str, round: u64) -> io::Result<()> {
    let being_written = directory.join(format!("{name}.new"));
    fs::write(&being_written, content(round))?;
    fs::rename(being_written, directory.join(name))
}

fn content(round: u64) -> Vec<u8> {
    let mut random = Random::new(round);
    let length = usize::try_from(random.below(LONGEST)).unwrap_or(0);
    let mut content = round.to_le_bytes().to_vec();
    content.extend(random.bytes(length));
    content.extend(checksum(&content).to_le_bytes());
    content
}

/// Fletcher's two sums, wide enough to notice a page of another moment.
fn checksum(bytes: &[u8]) -> u64 {
    let (mut sum, mut sums) = (0_u32, 0_u32);
    for &byte in bytes {
        sum = sum.wrapping_add(u32::from(byte) + 1);
        sums = sums.wrapping_add(sum);
    }
    u64::from(sums) << 32 | u64::from(sum)
}

pub fn check(directory: &Path) -> io::Result<()> {
    let first = round(&directory.join("first"))?;
    let second = round(&directory.join("second"))?;
    if first == second || first == second + 1 {
        return Ok(());
    }
    let what = format!("first is of round {first}, second of round {second}");
    Err(violation(directory, &what))
}

fn round(path: &Path) -> io::Result<u64> {
    let content = read(path)?;
    let whole = content
        .split_last_chunk::<8>()
        .filter(|(body, sum)| body.len() >= 8 && checksum(body) == u64::from_le_bytes(**sum));
    let round = whole.and_then(|(body, _)| body.first_chunk::<8>());
    match round {
        Some(round) => Ok(u64::from_le_bytes(*round)),
        None => Err(violation(
            path,
            &format!("{} bytes that are no whole file", content.len()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(first: u64, second: u64) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        replace(folder.path(), "first", first).unwrap();
        replace(folder.path(), "second", second).unwrap();
        folder
    }

    #[test]
    fn the_same_round_and_the_next_keep_the_law() {
        check(tree(9, 9).path()).unwrap();
        check(tree(10, 9).path()).unwrap();
    }

    #[test]
    fn rounds_of_different_moments_are_found() {
        assert!(check(tree(9, 10).path()).is_err());
        assert!(check(tree(11, 9).path()).is_err());
    }

    #[test]
    fn a_torn_or_cut_file_is_found() {
        let folder = tree(3, 3);
        let mut torn = content(3);
        let middle = torn.len() / 2;
        torn[middle] ^= 1;
        fs::write(folder.path().join("second"), &torn).unwrap();
        assert!(check(folder.path()).is_err());
        fs::write(folder.path().join("second"), &content(3)[..9]).unwrap();
        assert!(check(folder.path()).is_err());
        fs::write(folder.path().join("second"), "").unwrap();
        assert!(check(folder.path()).is_err());
    }
}
