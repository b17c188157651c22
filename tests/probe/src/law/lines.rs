//! Logs of numbered lines, and a log that is rotated.
//!
//! A line is one `write` in append mode, so no instant shows half of one; and it never
//! lies on two pages, between which SIGKILL may end a `write`. One writer appends line n
//! to nine logs in turn: their lengths never rise along the logs and differ by at most
//! one. Another moves its log to `log.1` every so many lines: the numbers run on from
//! `log.1` to `log` without a gap.

use super::{BREATH, Writer, read, violation};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

const LOGS: usize = 9;
const LINES_BETWEEN_ROTATIONS: u64 = 100;
const PADDING: &str = "long enough that a log soon spans more than one page";
/// A number of ten digits, a space, the padding, the line's end.
const LINE: usize = 10 + 1 + PADDING.len() + 1;
const SMALLEST_PAGE: usize = 4096;
const _: () = assert!(SMALLEST_PAGE.is_multiple_of(LINE));

pub fn logs_writer(directory: &Path) -> io::Result<Writer> {
    fs::create_dir_all(directory)?;
    let open = |index| open_log(&log(directory, index));
    let mut logs = (0..LOGS).map(open).collect::<io::Result<Vec<_>>>()?;
    Ok(Box::new(move || {
        for number in 0_u64.. {
            for log in &mut logs {
                append(log, number)?;
            }
            thread::sleep(BREATH * 5);
        }
        Ok(())
    }))
}

pub fn rotated_writer(directory: &Path) -> io::Result<Writer> {
    fs::create_dir_all(directory)?;
    let (current, previous) = (directory.join("log"), directory.join("log.1"));
    let mut log = open_log(&current)?;
    Ok(Box::new(move || {
        for number in 0_u64.. {
            if number % LINES_BETWEEN_ROTATIONS == LINES_BETWEEN_ROTATIONS - 1 {
                fs::rename(&current, &previous)?;
                log = open_log(&current)?;
            }
            append(&mut log, number)?;
            thread::sleep(BREATH);
        }
        Ok(())
    }))
}

fn log(directory: &Path, index: usize) -> PathBuf {
    directory.join(format!("{index}.log"))
}

fn open_log(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// One `write`, never two: that is what keeps a line whole.
fn append(log: &mut File, number: u64) -> io::Result<()> {
    let line = format!("{number:010} {PADDING}\n");
    match log.write(line.as_bytes())? {
        written if written == line.len() => Ok(()),
        written => Err(io::Error::other(format!(
            "{written} bytes of a line written"
        ))),
    }
}

pub fn check_logs(directory: &Path) -> io::Result<()> {
    let count = |index| Ok(numbers(&log(directory, index), Some(0))?.len());
    let counts = (0..LOGS).map(count).collect::<io::Result<Vec<_>>>()?;
    let (first, last) = (counts[0], counts[LOGS - 1]);
    if counts.is_sorted_by(|one, next| one >= next) && first - last <= 1 {
        return Ok(());
    }
    Err(violation(
        directory,
        &format!("the logs have {counts:?} lines"),
    ))
}

pub fn check_rotated(directory: &Path) -> io::Result<()> {
    let (current, previous) = (directory.join("log"), directory.join("log.1"));
    let before = if previous.exists() {
        numbers(&previous, None)?
    } else {
        Vec::new()
    };
    let expected = before.last().map_or(0, |last| last + 1);
    // Between the rename and the next line there is an empty log, or none at all.
    if current.exists() || before.is_empty() {
        numbers(&current, Some(expected))?;
    }
    Ok(())
}

/// The numbers of a log's lines, which must all be whole and without a gap.
fn numbers(path: &Path, first: Option<u64>) -> io::Result<Vec<u64>> {
    let content = read(path)?;
    let mut numbers: Vec<u64> = Vec::new();
    for line in content.split_inclusive(|&byte| byte == b'\n') {
        let number = parse(line).ok_or_else(|| {
            let line = String::from_utf8_lossy(line);
            violation(
                path,
                &format!("after {} lines {line:?} is none", numbers.len()),
            )
        })?;
        let expected = numbers
            .last()
            .map(|last| last + 1)
            .or(first)
            .unwrap_or(number);
        if number != expected {
            return Err(violation(
                path,
                &format!("line {number} stands where {expected} belongs"),
            ));
        }
        numbers.push(number);
    }
    Ok(numbers)
}

fn parse(line: &[u8]) -> Option<u64> {
    let line = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (number, padding) = line.split_once(' ')?;
    (padding == PADDING).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    fn fill(path: &Path, range: Range<u64>) {
        fs::write(path, "").unwrap();
        let mut log = open_log(path).unwrap();
        range.for_each(|number| append(&mut log, number).unwrap());
    }

    /// Nine logs in the midst of line 20: `new` logs have it already.
    fn logs(new: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..LOGS {
            let lines = if index < new { 21 } else { 20 };
            fill(&log(folder.path(), index), 0..lines);
        }
        folder
    }

    #[test]
    fn every_instant_of_a_round_keeps_the_law() {
        (0..=LOGS).for_each(|new| check_logs(logs(new).path()).unwrap());
    }

    #[test]
    fn a_log_that_is_ahead_or_behind_is_found() {
        let folder = logs(4);
        fill(&log(folder.path(), 6), 0..21);
        assert!(check_logs(folder.path()).is_err());
        let folder = logs(0);
        fill(&log(folder.path(), 8), 0..18);
        assert!(check_logs(folder.path()).is_err());
    }

    #[test]
    fn a_cut_line_and_a_hole_are_found() {
        let folder = logs(0);
        let first = log(folder.path(), 0);
        let length = fs::metadata(&first).unwrap().len();
        let file = File::options().write(true).open(&first).unwrap();
        file.set_len(length - 3).unwrap();
        assert!(check_logs(folder.path()).is_err());
        file.set_len(length).unwrap();
        assert!(check_logs(folder.path()).is_err());
    }

    #[test]
    fn a_rotation_may_be_under_way() {
        let folder = tempfile::tempdir().unwrap();
        let (current, previous) = (folder.path().join("log"), folder.path().join("log.1"));
        fill(&current, 0..5);
        check_rotated(folder.path()).unwrap();
        fs::rename(&current, &previous).unwrap();
        check_rotated(folder.path()).unwrap();
        fill(&current, 5..5);
        check_rotated(folder.path()).unwrap();
        fill(&current, 5..9);
        check_rotated(folder.path()).unwrap();
    }

    #[test]
    fn a_rotation_taken_at_two_moments_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (current, previous) = (folder.path().join("log"), folder.path().join("log.1"));
        assert!(check_rotated(folder.path()).is_err());
        fill(&previous, 0..5);
        fill(&current, 0..5);
        assert!(check_rotated(folder.path()).is_err());
        fill(&current, 6..8);
        assert!(check_rotated(folder.path()).is_err());
    }
}
