//! Writing to what others gave us to write to: to the end, whatever its mode.

use std::os::fd::BorrowedFd;

use anyhow::Result;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::{Errno, write};

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
