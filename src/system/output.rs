//! Writing to what others gave us to write to: to the end, whatever its mode, and to nothing that we opened ourselves.

use std::fs::File;
use std::os::fd::{BorrowedFd, IntoRawFd};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::{Errno, fcntl_getfd, write};
use rustix::stdio::{stderr, stdin, stdout};

/// Writes all of `bytes`, also to a descriptor that somebody made non-blocking. A reader that has gone has seen enough.
pub fn write_all(descriptor: BorrowedFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write(descriptor, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::PIPE) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(
                    &mut [PollFd::new(descriptor, PollFlags::POLLOUT)],
                    PollTimeout::NONE,
                )?;
            }
            Err(error) => anyhow::bail!(super::text::lowercase_reason(&error.into())),
        }
    }
    Ok(())
}

/// Opens what is closed of standard input, output and error as /dev/null, so that no file of ours gets their numbers
/// and with them what is printed.
pub fn fill_standard_descriptors() -> Result<()> {
    for descriptor in [stdin(), stdout(), stderr()] {
        if fcntl_getfd(descriptor).is_err() {
            let mut options = File::options();
            let file = options.read(true).write(true).open("/dev/null");
            // The lowest number that is free is that one (open(2)), and stays so.
            let _ = file.context("opening /dev/null")?.into_raw_fd();
        }
    }
    Ok(())
}
