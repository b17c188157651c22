//! Priorities: heavy work gives way to everybody else's, the container's first of all.
//!
//! What this process was started with (nice(1), ionice(1)) is where that begins: nothing is ever raised. Only a thread of
//! its own is lowered, with those that it starts, so nothing needs to be undone.

use std::thread;

use anyhow::{Context, Result};
use nix::libc;

/// Half of the way from the ordinary to the lowest.
const NICER: i32 = 10;

/// `ioprio_set(2)`: a class above these bits, a level of it in them.
const CLASS_SHIFT: u32 = 13;
const NO_CLASS: libc::c_long = 0;
const BEST_EFFORT: libc::c_long = 2;
const LOWEST_LEVEL: libc::c_long = 7;
const WHO_PROCESS: libc::c_long = 1;
const THIS_THREAD: libc::c_long = 0;

/// Does `work` in a thread that yields processors and disks to others.
pub fn yielding<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let worker = thread::Builder::new()
            .name("yielding".into())
            .spawn_scoped(scope, || {
                lower();
                work()
            })
            .context("starting a thread for heavy work")?;
        worker
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Neither can fail for a thread's own, and without them the work is only less polite.
fn lower() {
    let _ = rustix::process::nice(NICER);
    lower_disk_priority();
}

/// One who was given a class by ionice(1) keeps it.
fn lower_disk_priority() {
    // SAFETY: reads a number of this thread; no memory is passed.
    let given = unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, THIS_THREAD) };
    if given >> CLASS_SHIFT == NO_CLASS {
        let lowest = BEST_EFFORT << CLASS_SHIFT | LOWEST_LEVEL;
        // SAFETY: sets a number of this thread; no memory is passed.
        unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, THIS_THREAD, lowest) };
    }
}
