//! Counters across 64 files, stored by `pwrite`, with or without a detour through memory,
//! or through shared mappings.
//!
//! Every file has two cells, its first and its last word. A round stores its number
//! in all 128 cells, in order. So at every instant the cells never rise along the
//! files, and the first is at most one ahead of the last. Halves of one file from
//! different moments break the law as well as files from different moments do.

use super::{BREATH, Writer, read, violation};
use crate::mapping;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

const FILES: usize = 64;
/// A few pages, so that the two cells of a file lie on different ones.
const LENGTH: u64 = 16 << 10;
const LAST_CELL: u64 = LENGTH - 8;
/// No disk has larger ones.
const BLOCK: usize = 4096;

pub fn written(directory: &Path, step: Duration) -> io::Result<Writer> {
    let files = create(directory)?;
    Ok(Box::new(move || {
        for round in 1_u64.. {
            for file in &files {
                file.write_all_at(&round.to_le_bytes(), 0)?;
                pause(step);
                file.write_all_at(&round.to_le_bytes(), LAST_CELL)?;
            }
            thread::sleep(BREATH);
        }
        Ok(())
    }))
}

/// Past the page cache, a block for each cell.
pub fn direct(directory: &Path, step: Duration) -> io::Result<Writer> {
    create(directory)?;
    let open = |index| {
        let mut options = File::options();
        let options = options.write(true).custom_flags(libc::O_DIRECT);
        options.open(path(directory, index))
    };
    let files = (0..FILES).map(open).collect::<io::Result<Vec<_>>>()?;
    Ok(Box::new(move || {
        let mut block = Block([0; BLOCK]);
        for round in 1_u64.. {
            for file in &files {
                block.0[..8].copy_from_slice(&round.to_le_bytes());
                file.write_all_at(&block.0, 0)?;
                pause(step);
                block.0[BLOCK - 8..].copy_from_slice(&round.to_le_bytes());
                file.write_all_at(&block.0, LENGTH - BLOCK as u64)?;
                // The kernel's own threads do the work, and would take a processor each.
                thread::sleep(BREATH * 2);
            }
        }
        Ok(())
    }))
}

/// Direct I/O wants it aligned as the disk's blocks are.
#[repr(align(4096))]
struct Block([u8; BLOCK]);

pub fn mapped(directory: &Path, step: Duration) -> io::Result<Writer> {
    let files = create(directory)?;
    let length = usize::try_from(LENGTH).map_err(io::Error::other)?;
    let open = |file| mapping::shared(file, length);
    let mappings = files.iter().map(open).collect::<io::Result<Vec<_>>>()?;
    Ok(Box::new(move || {
        for round in 1_u64.. {
            for mapping in &mappings {
                mapping[0].store(round, Ordering::SeqCst);
                pause(step);
                mapping[mapping.len() - 1].store(round, Ordering::SeqCst);
            }
            thread::sleep(BREATH);
        }
        Ok(())
    }))
}

fn pause(step: Duration) {
    if !step.is_zero() {
        thread::sleep(step);
    }
}

fn path(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("{index:02}"))
}

fn create(directory: &Path) -> io::Result<Vec<File>> {
    fs::create_dir_all(directory)?;
    let create_one = |index| {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true);
        let file = file.open(path(directory, index))?;
        file.set_len(LENGTH)?;
        Ok(file)
    };
    (0..FILES).map(create_one).collect()
}

pub fn check(directory: &Path) -> io::Result<()> {
    let mut before: Option<u64> = None;
    let mut first = 0;
    for index in 0..FILES {
        let path = path(directory, index);
        for cell in cells(&path)? {
            let before = before.replace(cell).unwrap_or_else(|| {
                first = cell;
                cell
            });
            if cell > before {
                let what = format!("a cell holds {cell}, the one stored before it {before}");
                return Err(violation(&path, &what));
            }
            if first - cell > 1 {
                let what = format!("a cell holds {cell}, the first of all {first}");
                return Err(violation(&path, &what));
            }
        }
    }
    Ok(())
}

fn cells(path: &Path) -> io::Result<[u64; 2]> {
    let content = read(path)?;
    if content.len() as u64 != LENGTH {
        let what = format!("{} bytes long, not {LENGTH}", content.len());
        return Err(violation(path, &what));
    }
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&content[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    Ok([word(0), word(content.len() - 8)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as it is in the midst of round 7: `new` cells have it, the rest 6.
    fn tree(new: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (index, file) in create(folder.path()).unwrap().iter().enumerate() {
            let round = |cell: usize| if cell < new { 7_u64 } else { 6 }.to_le_bytes();
            file.write_all_at(&round(2 * index), 0).unwrap();
            file.write_all_at(&round(2 * index + 1), LAST_CELL).unwrap();
        }
        folder
    }

    fn set(folder: &Path, index: usize, at: u64, value: u64) {
        let file = File::options()
            .write(true)
            .open(path(folder, index))
            .unwrap();
        file.write_all_at(&value.to_le_bytes(), at).unwrap();
    }

    #[test]
    fn every_instant_of_a_round_keeps_the_law() {
        for new in 0..=2 * FILES {
            check(tree(new).path()).unwrap();
        }
    }

    #[test]
    fn a_file_of_an_earlier_moment_is_found() {
        let folder = tree(2 * FILES);
        set(folder.path(), 20, 0, 6);
        assert!(check(folder.path()).is_err());
    }

    #[test]
    fn a_file_of_a_later_moment_is_found() {
        let folder = tree(0);
        set(folder.path(), 20, LAST_CELL, 7);
        assert!(check(folder.path()).is_err());
    }

    #[test]
    fn a_file_two_rounds_behind_is_found() {
        let folder = tree(2 * FILES);
        set(folder.path(), FILES - 1, LAST_CELL, 5);
        assert!(check(folder.path()).is_err());
    }

    #[test]
    fn a_cut_file_is_found() {
        let folder = tree(0);
        let file = File::options()
            .write(true)
            .open(path(folder.path(), 3))
            .unwrap();
        file.set_len(LENGTH / 2).unwrap();
        assert!(check(folder.path()).is_err());
    }

    #[test]
    fn a_missing_file_is_found() {
        let folder = tree(0);
        fs::remove_file(path(folder.path(), 3)).unwrap();
        assert!(check(folder.path()).is_err());
    }
}
