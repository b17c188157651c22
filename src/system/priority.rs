//! Priorities: heavy work gives way to everybody else's, the container's first of all; what the container waits for does
//! not.
//!
//! What this process was started with (nice(1), ionice(1), chrt(1)) is where that begins. For heavy work a thread of its own
//! is lowered, with those that it starts, so nothing needs to be undone.

use std::marker::PhantomData;
use std::thread;

use anyhow::{Context, Result};
use nix::libc;
use rustix::process::{getpriority_process, setpriority_process};

/// Half of the way from the ordinary to the lowest.
const NICER: i32 = 10;

/// `ioprio_set(2)`: a class above these bits, a level of it in them.
const CLASS_SHIFT: u32 = 13;
const NO_CLASS: libc::c_long = 0;
const BEST_EFFORT: libc::c_long = 2;
const IDLE: libc::c_long = 3;
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
    // One who was given a class by ionice(1) keeps it.
    if disk_priority() >> CLASS_SHIFT == NO_CLASS {
        set_disk_priority(BEST_EFFORT << CLASS_SHIFT | LOWEST_LEVEL);
    }
}

/// As long as it lives, the thread that made it, and those that it starts, have the ordinary priority at least, if that may
/// be: who waits for them did not ask to come last.
pub struct Ordinary {
    nice: i32,
    disk: libc::c_long,
    policy: libc::c_int,
    /// It is this thread's.
    _thread: PhantomData<*const ()>,
}

impl Ordinary {
    pub fn at_least() -> Self {
        let given = Self {
            nice: getpriority_process(None).unwrap_or(0),
            disk: disk_priority(),
            policy: policy(),
            _thread: PhantomData,
        };
        if matches!(given.policy, libc::SCHED_IDLE | libc::SCHED_BATCH) {
            set_policy(libc::SCHED_OTHER);
        }
        if given.nice > 0 {
            let _ = setpriority_process(None, 0);
        }
        if given.disk >> CLASS_SHIFT == IDLE {
            set_disk_priority(NO_CLASS);
        }
        given
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        // Nothing is set where nothing was: that could take away what others have given meanwhile.
        if disk_priority() != self.disk {
            set_disk_priority(self.disk);
        }
        if self.nice > 0 {
            let _ = setpriority_process(None, self.nice);
        }
        if policy() != self.policy {
            set_policy(self.policy);
        }
    }
}

fn disk_priority() -> libc::c_long {
    // SAFETY: reads a number of this thread; no memory is passed.
    unsafe { libc::syscall(libc::SYS_ioprio_get, WHO_PROCESS, THIS_THREAD) }
}

fn set_disk_priority(priority: libc::c_long) {
    // SAFETY: sets a number of this thread; no memory is passed.
    unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, THIS_THREAD, priority) };
}

/// How this thread is scheduled (sched(7)).
fn policy() -> libc::c_int {
    // SAFETY: reads a number of this thread; no memory is passed.
    unsafe { libc::sched_getscheduler(0) }
}

/// To one without priorities of its own.
fn set_policy(policy: libc::c_int) {
    // SAFETY: of all zeros it is a valid value, on every C library.
    let parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is read, and outlives the call.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
}
