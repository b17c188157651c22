//! Where a report goes: to a file, whole or not at all, or to what is there and is none (a device, a pipe, our own output).
//! `-` is standard output, as in other programs.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::unistd::{AccessFlags, eaccess};
use rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, major, minor};
use rustix::io::Errno;
use rustix::stdio::{stderr, stdout};

use crate::system::identity::unique_name;
use crate::system::output::write_all;
use crate::system::same_file::is_same_file;
use crate::system::signals;

/// As many as the kernel follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;
/// The numbers of `/dev/tty` (tty(4)).
const OWN_TERMINAL: (u32, u32) = (5, 0);
const READER_POLL: Duration = Duration::from_millis(20);

/// Whether a report can be put at `path`, to be asked before anything is done.
pub fn check(path: &Path) -> Result<()> {
    let describe = || format!("the report {} cannot be written", path.display());
    if let Some(output) = own_output(path) {
        return check_output(output).with_context(describe);
    }
    let names_directory = path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/");
    ensure!(!names_directory, "{}: it is a directory", describe());
    let checked = if !is_stream(path) {
        let access = AccessFlags::W_OK | AccessFlags::X_OK;
        eaccess(directory_of(&destination(path)), access).map_err(io::Error::from)
    } else if is_pipe(path) {
        eaccess(path, AccessFlags::W_OK).map_err(io::Error::from)
    } else {
        check_stream(path)
    };
    checked.with_context(describe)
}

/// Puts `text` at `path`.
pub fn write(path: &Path, text: &[u8]) -> Result<()> {
    if let Some(output) = own_output(path) {
        // Through the descriptor, so that who writes there after us does so behind it.
        return write_all(output, text);
    }
    if is_stream(path) {
        return Ok(append(path, text)?);
    }
    let path = destination(path);
    let temporary = directory_of(&path).join(format!(".freezeframe-report-{}", unique_name()));
    let written = write_file(&temporary, text).and_then(|()| fs::rename(&temporary, &path));
    if written.is_err() {
        // It may never have been created.
        let _ = fs::remove_file(&temporary);
    }
    Ok(written?)
}

/// What is there is not to be replaced: a device, a pipe.
fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir())
}

/// Which of our own outputs goes to `path`.
fn own_output(path: &Path) -> Option<BorrowedFd<'static>> {
    if path.as_os_str() == "-" {
        return Some(stdout());
    }
    let goes_there = |output: &BorrowedFd| {
        let link = format!("/proc/self/fd/{}", output.as_raw_fd());
        is_same_file(path, link.as_ref())
    };
    [stdout(), stderr()].into_iter().find(goes_there)
}

/// What we were given open is written to, whoever may open it.
fn check_output(output: BorrowedFd) -> io::Result<()> {
    let mode = fcntl_getfl(output)? & OFlags::ACCMODE;
    let is_writable = mode == OFlags::WRONLY || mode == OFlags::RDWR;
    is_writable.then_some(()).ok_or_else(|| Errno::BADF.into())
}

/// Where links lead, so that they stay, though nothing be there yet; the kernel decides whether they may be followed
/// (`fs.protected_symlinks`).
fn destination(path: &Path) -> PathBuf {
    let mut destination = path.to_owned();
    for _ in 0..MOST_LINKS {
        match followed(&destination) {
            Ok(there) => return there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => return destination,
        }
        match fs::read_link(&destination) {
            Ok(target) => destination = directory_of(&destination).join(target),
            Err(_) => return destination,
        }
    }
    path.to_owned()
}

/// Of what is there, the name without any link.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let handle = rustix::fs::open(path, flags, Mode::empty())?;
    fs::read_link(format!("/proc/self/fd/{}", handle.as_raw_fd()))
}

pub fn directory_of(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Of a socket, or a terminal that we do not have, permissions say nothing. To open any other device may do something.
fn check_stream(path: &Path) -> io::Result<()> {
    let there = fs::metadata(path)?;
    if there.file_type().is_socket() {
        return Err(Errno::NXIO.into());
    }
    if (major(there.rdev()), minor(there.rdev())) == OWN_TERMINAL {
        return open_stream(path).map(drop);
    }
    Ok(eaccess(path, AccessFlags::W_OK)?)
}

fn is_pipe(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| there.file_type().is_fifo())
}

fn open_stream(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let mut options = File::options();
    options.append(true).custom_flags(flags).open(path)
}

fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    let has_no_reader = |error: &io::Error| {
        // fifo(7)
        error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) && is_pipe(path)
    };
    let mut stream = loop {
        match open_stream(path) {
            Err(error) if has_no_reader(&error) => {
                signals::check().map_err(io::Error::other)?;
                std::thread::sleep(READER_POLL);
            }
            opened => break opened?,
        }
    };
    fcntl_setfl(&stream, OFlags::APPEND)?;
    stream.write_all(text)
}

fn write_file(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(text)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use harness::TempDir;

    use super::*;

    /// As where a directory has come since it was asked whether a report can be put there.
    #[test]
    fn a_report_that_cannot_take_its_place_leaves_nothing() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("report");
        fs::create_dir(&path).unwrap();
        write(&path, b"text").expect_err("it is a directory");
        let names = fs::read_dir(folder.path()).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["report"]);
    }
}
