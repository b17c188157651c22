//! The watchdog: a process of its own that thaws the container when the committing process dies or stalls.
//!
//! It is this program again, in a session of its own, with every signal blocked. It holds the only other end of a pipe
//! whose closing it cannot miss. `f` on the pipe announces a freeze and starts its clock, `t` tells of the thaw.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Freezer, HOLD_BOUND, mark::Mark};
use crate::system::signals;

/// The first word of its command line.
pub const COMMAND: &str = "watchdog";
/// Past this, the committing process has stalled.
const DEADLINE: Duration = HOLD_BOUND.saturating_add(Duration::from_secs(1));
const ABOUT_TO_FREEZE: u8 = b'f';
const THAWED: u8 = b't';
const READY: u8 = b'r';

/// The committing process's side.
pub struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts it and waits until it is ready.
    pub fn start(freezer: &Freezer) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg0("freezeframe")
            .arg(COMMAND)
            .args(freezer.description())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/")
            .spawn()
            .context("starting the watchdog")?;
        let pipe = child.stdin.take();
        let mut answer = Vec::new();
        if let Some(output) = child.stdout.take() {
            output
                .take(1)
                .read_to_end(&mut answer)
                .context("waiting for the watchdog")?;
        }
        let watchdog = Self { child, pipe };
        ensure!(
            answer == [READY],
            "the watchdog does not start: nothing was frozen"
        );
        Ok(watchdog)
    }

    /// To be told before the freeze; without a watchdog there must be none.
    pub fn about_to_freeze(&mut self) -> Result<()> {
        self.tell(ABOUT_TO_FREEZE)
            .context("telling the watchdog of the freeze")
    }

    pub fn thawed(&mut self) {
        // A watchdog that is gone has nothing to do any more.
        let _ = self.tell(THAWED);
    }

    fn tell(&mut self, message: u8) -> io::Result<()> {
        match &mut self.pipe {
            Some(pipe) => pipe.write_all(&[message]),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It ends by itself, now that its pipe is closed.
        let _ = self.child.wait();
    }
}

/// The watchdog's own life; `words` describe the freezer. Returns when the committing process has ended.
pub fn run(words: &[OsString]) -> Result<()> {
    signals::block_all()?;
    nix::unistd::setsid().context("leaving the session")?;
    let freezer = Freezer::from_description(words)?;
    io::stdout()
        .write_all(&[READY])
        .and_then(|()| io::stdout().flush())?;
    let mut deadline = None;
    loop {
        match next_message(deadline)? {
            Event::Message(ABOUT_TO_FREEZE) => deadline = Some(Instant::now() + DEADLINE),
            Event::Message(_) => deadline = None,
            Event::Late => {
                thaw(&freezer);
                // It may freeze yet, once it runs again.
                deadline = Some(Instant::now() + DEADLINE);
            }
            Event::Gone => {
                if deadline.is_some() {
                    thaw(&freezer);
                    Mark::remove_of(&freezer.name());
                }
                return Ok(());
            }
        }
    }
}

enum Event {
    Message(u8),
    Late,
    Gone,
}

fn next_message(deadline: Option<Instant>) -> Result<Event> {
    let input = io::stdin();
    let patience = match deadline {
        None => PollTimeout::NONE,
        Some(deadline) => deadline
            .saturating_duration_since(Instant::now())
            .try_into()
            .unwrap_or(PollTimeout::ZERO),
    };
    let mut waiting = [PollFd::new(input.as_fd(), PollFlags::POLLIN)];
    if poll(&mut waiting, patience).context("waiting for the committing process")? == 0 {
        return Ok(Event::Late);
    }
    let mut message = [0];
    let count = rustix::io::read(input.as_fd(), &mut message)
        .context("reading from the committing process")?;
    Ok(if count == 0 {
        Event::Gone
    } else {
        Event::Message(message[0])
    })
}

/// There is nobody to tell of a failure; it may be passing, so it is tried again.
fn thaw(freezer: &Freezer) {
    for _ in 0..50 {
        if freezer.thaw().is_ok() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
