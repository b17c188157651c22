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

use super::workers::join;

/// Half of the way from the ordinary to the lowest.
const NICER: i32 = 10;

/// `ioprio_set(2)`: a class above these bits, a level of it in them.
const CLASS_SHIFT: u32 = 13;
const NO_CLASS: libc::c_long = 0;
const BEST_EFFORT: libc::c_long = 2;
const IDLE: libc::c_long = 3;
const LOWEST_LEVEL: libc::c_long = 7;
/// Of one who is neither nice nor has a level of its own.
const ORDINARY_LEVEL: libc::c_long = 4;
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
        join(worker)
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
    /// What was lower.
    policy: Option<libc::c_int>,
    nice: Option<i32>,
    disk: Option<libc::c_long>,
    /// It is this thread's.
    _thread: PhantomData<*const ()>,
}

impl Ordinary {
    pub fn at_least() -> Self {
        let policy =
            Some(policy()).filter(|policy| matches!(*policy, libc::SCHED_IDLE | libc::SCHED_BATCH));
        let nice = getpriority_process(None).ok().filter(|nice| *nice > 0);
        let disk = Some(disk_priority()).filter(|disk| is_low(*disk));
        if policy.is_some() {
            set_policy(libc::SCHED_OTHER);
        }
        if nice.is_some() {
            let _ = setpriority_process(None, 0);
        }
        if disk.is_some() {
            set_disk_priority(NO_CLASS);
        }
        Self {
            policy,
            nice,
            disk,
            _thread: PhantomData,
        }
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        if let Some(disk) = self.disk {
            set_disk_priority(disk);
        }
        if let Some(nice) = self.nice {
            let _ = setpriority_process(None, nice);
        }
        if let Some(policy) = self.policy {
            set_policy(policy);
        }
    }
}

fn is_low(disk_priority: libc::c_long) -> bool {
    let level = disk_priority & ((1 << CLASS_SHIFT) - 1);
    match disk_priority >> CLASS_SHIFT {
        IDLE => true,
        BEST_EFFORT => level > ORDINARY_LEVEL,
        _ => false,
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
