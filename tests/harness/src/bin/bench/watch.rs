//! Running a command under a watch: how long it takes, how much memory, and not for ever.

use anyhow::Context;
use harness::{Outcome, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

const LOOK: Duration = Duration::from_millis(5);

/// A command that has ended, or was ended.
pub struct Watched {
    pub outcome: Outcome,
    pub wall: Duration,
    /// The most memory that its own process held at one time, in bytes.
    pub peak: u64,
    pub took_too_long: bool,
}

/// Runs `command` to its end, and kills it when it takes longer than `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<Watched> {
    let (tell, ended) = channel();
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let began = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("running {command:?}"))?;
    let pid = Pid::from_child(&child);
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    thread::scope(|scope| {
        let watch = scope.spawn(move || look_after(pid, &process, &ended, limit));
        let output = child.wait_with_output();
        let wall = began.elapsed();
        drop(tell);
        let (peak, took_too_long) = watch.join().unwrap_or_default();
        Ok(Watched {
            outcome: Outcome::of(command, output?),
            wall,
            peak,
            took_too_long,
        })
    })
}

/// Its peak as last seen, and whether it had to be killed.
fn look_after(pid: Pid, process: &OwnedFd, ended: &Receiver<()>, limit: Duration) -> (u64, bool) {
    let began = Instant::now();
    let (mut peak, mut killed) = (0, false);
    while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        peak = peak.max(peak_memory(pid.as_raw_nonzero().get().unsigned_abs()));
        if !killed && began.elapsed() > limit {
            killed = pidfd_send_signal(process, Signal::KILL).is_ok();
        }
    }
    (peak, killed)
}

/// The most that a process has held since it began, or since `forget_peak`; in bytes, 0 when it is gone.
pub fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// Makes `peak_memory` begin anew (5 in `clear_refs`: proc(5)).
pub fn forget_peak(pid: u32) -> Result {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("resetting a peak of memory")
}
