//! Programs that we start or become: what they find, how they are tied to us, and how they are waited for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

use super::{limits, signals};

/// Changes the environment that a program which we become will find. Only for when there is one thread.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: pass-through starts no threads, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}

/// Has `command`, once it is started, end when this process does, hear the signals that we do not, and hold `pipe`
/// open as long as it lives.
pub fn tie_to_this_process(command: &mut Command, pipe: Option<BorrowedFd>) {
    let pipe = pipe.map(|pipe| pipe.as_raw_fd());
    let parent = Pid::this();
    let tie = move || {
        signals::restore_in_child()?;
        limits::restore();
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        if Pid::parent() != parent {
            return Err(io::Error::from(Errno::ESRCH));
        }
        if let Some(pipe) = pipe {
            // SAFETY: the caller's descriptor is open when it starts the command, and the child has the same.
            let pipe = unsafe { BorrowedFd::borrow_raw(pipe) };
            fcntl(pipe, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(tie) };
}

/// Closes whatever this process was started with beside standard input, output and error, where the kernel can
/// (`close_range(2)`: Linux 5.9). Only for when nothing else is open.
pub fn close_inherited() {
    // SAFETY: nobody here has opened a descriptor yet, so that none that is closed is anybody's.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// Waits for the end of a child; false where it has not come when `bound` has passed.
pub fn ends_within(child: &mut Child, bound: Duration) -> bool {
    let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
    if ended(child) {
        return true;
    }
    let Ok(descriptor) = pidfd_open(rustix::process::Pid::from_child(child), PidfdFlags::empty())
    else {
        return false;
    };
    is_readable_within(&descriptor, bound).unwrap_or(false) && ended(child)
}

/// Whether there is something to read, or nothing will come any more, before `bound` has passed.
pub fn is_readable_within(descriptor: &impl AsFd, bound: Duration) -> io::Result<bool> {
    let mut waiting = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    let began = Instant::now();
    loop {
        let left = bound.saturating_sub(began.elapsed());
        match poll(&mut waiting, left.try_into().unwrap_or(PollTimeout::MAX)) {
            // By the end of a child, of which duct wants to hear.
            Err(Errno::EINTR) if !left.is_zero() => {}
            Err(Errno::EINTR) => return Ok(false),
            ready => return Ok(ready? > 0),
        }
    }
}
