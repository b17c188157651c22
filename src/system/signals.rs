//! Signals as questions: nothing is interrupted in the middle, long work asks `check` and unwinds through its guards.
//!
//! From `take_over` on, the signals that end a process are blocked in every thread and waited for by one of ours. The
//! first makes `check` fail; a second, a second later or more, ends the process at once (the watchdog then thaws). A signal
//! that was ignored when we were started, as under nohup(1), stays ignored. Stop signals (Ctrl-Z) are blocked until
//! `allow_stops`, and while there is a `HeldStops`: no thread that lives into one has them unblocked.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, Signal};

static CAUGHT: AtomicI32 = AtomicI32::new(0);

const ENDING: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
];
const STOPPING: [Signal; 3] = [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];

/// Signals that come so soon after the first are of the same wish: timeout(1) sends one to us and one to our group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// A signal asked us to stop.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped by {}", Signal::try_from(*signal).map_or("a signal", Signal::as_str))]
pub struct Stopped {
    signal: i32,
}

/// Fails once a signal has asked us to stop.
///
/// # Errors
/// [`Stopped`], with the signal.
pub fn check() -> std::result::Result<(), Stopped> {
    match CAUGHT.load(Ordering::Relaxed) {
        0 => Ok(()),
        signal => Err(Stopped { signal }),
    }
}

/// Begins to collect signals. To be called once, before any other thread exists.
pub fn take_over() -> Result<()> {
    // SAFETY: ignoring is no handler; a closed pipe then fails the write instead of ending us without clean-up.
    unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) }
        .context("ignoring SIGPIPE")?;
    // SAFETY: as above; a file that may not become so large then fails the write (setrlimit(2), RLIMIT_FSIZE).
    unsafe { nix::sys::signal::signal(Signal::SIGXFSZ, SigHandler::SigIgn) }
        .context("ignoring SIGXFSZ")?;
    hear_of_children()?;
    let ending = ending_signals();
    ending.thread_block().context("blocking signals")?;
    block_stops()?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || collect(&ending))
        .context("starting the thread that waits for signals")?;
    Ok(())
}

/// Children that whoever started us has us ignore would leave no status.
pub fn hear_of_children() -> Result<()> {
    // SAFETY: the default is no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }
        .context("no longer ignoring SIGCHLD")?;
    Ok(())
}

/// Lets Ctrl-Z stop us from here on, in this thread and in those that it starts. Others keep it blocked.
pub fn allow_stops() -> Result<()> {
    set_of(&STOPPING)
        .thread_unblock()
        .context("unblocking stop signals")
}

/// Undoes `allow_stops`: threads started from here on have them blocked again.
pub fn block_stops() -> Result<()> {
    set_of(&STOPPING)
        .thread_block()
        .context("blocking stop signals")
}

/// Gives a process that is just being started the signals that are blocked or ignored in ours, but for SIGPIPE, of which
/// `std` does the same. Makes system calls only.
pub fn restore_in_child() -> nix::Result<()> {
    // SAFETY: the default is no handler.
    unsafe { nix::sys::signal::signal(Signal::SIGXFSZ, SigHandler::SigDfl) }?;
    set_of(&ENDING).thread_unblock()?;
    set_of(&STOPPING).thread_unblock()
}

/// Blocks all of them for good, as a watchdog must outlive what ends its parent.
pub fn block_all() -> Result<()> {
    SigSet::all().thread_block().context("blocking signals")
}

/// While this lives, the thread that made it, which could be stopped by a terminal before, cannot.
pub struct HeldStops(());

impl HeldStops {
    pub fn new() -> Result<Self> {
        block_stops()?;
        Ok(Self(()))
    }
}

impl Drop for HeldStops {
    fn drop(&mut self) {
        // It worked when they were blocked, with the same set.
        let _ = allow_stops();
    }
}

/// Ends this process by the signal that stopped it, so that a shell sees what happened. Returns where it may not.
pub fn die_of(stopped: Stopped) {
    die_of_signal(stopped.signal);
}

/// Ends this process by the signal with this number.
pub fn die_of_signal(number: i32) {
    if let Ok(signal) = Signal::try_from(number) {
        let _ = SigSet::from(signal).thread_unblock();
        let _ = nix::sys::signal::raise(signal);
    }
}

fn collect(ending: &SigSet) {
    let mut first = None;
    while let Ok(signal) = ending.wait() {
        let first = first.get_or_insert_with(|| {
            CAUGHT.store(signal as i32, Ordering::Relaxed);
            Instant::now()
        });
        // A terminal that closes sends one, and so does its shell: that is no impatience.
        if first.elapsed() >= SAME_WISH && signal != Signal::SIGHUP {
            std::process::exit(128 + signal as i32);
        }
    }
}

fn ending_signals() -> SigSet {
    ENDING
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect()
}

fn set_of(signals: &[Signal]) -> SigSet {
    signals.iter().copied().collect()
}

fn is_ignored(signal: Signal) -> bool {
    let mut current = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a null new action only reads; the old one is written to memory of the right type and size.
    let answer = unsafe { libc::sigaction(signal as i32, std::ptr::null(), current.as_mut_ptr()) };
    // SAFETY: a zeroed sigaction is a valid value, whether or not the call has overwritten it.
    answer == 0 && unsafe { current.assume_init() }.sa_sigaction == libc::SIG_IGN
}
