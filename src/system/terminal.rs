//! Pseudo-terminals, for programs that print differently to a terminal.

use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};

/// A terminal that hands bytes on unchanged: our end, and the one for a program's output. Neither outlives an execve
/// that is not told of it.
pub fn raw_terminal() -> Result<(OwnedFd, OwnedFd)> {
    let pair = openpty(None, None).context("making a terminal")?;
    let mut settings = tcgetattr(&pair.slave).context("asking for a terminal's settings")?;
    cfmakeraw(&mut settings);
    tcsetattr(&pair.slave, SetArg::TCSANOW, &settings).context("setting a terminal up")?;
    for end in [&pair.master, &pair.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).context("closing a terminal on exec")?;
    }
    Ok((pair.master, pair.slave))
}
