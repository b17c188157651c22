//! The watchdog: a process of its own that thaws the container when the committing process dies or stalls.
//!
//! It is this program again, in a session of its own, with every signal blocked. It holds the only other end of a pipe
//! whose closing it cannot miss. `f` on the pipe announces a freeze and starts its clock, `t` tells of the thaw. `d`
//! announces a pause that the real nerdctl makes, which may last; that one holds the pipe open as well, so that the
//! watchdog acts when both have ended. `q` dismisses it, whoever holds the pipe.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::pause_watch::{self, Pause};
use super::{Freezer, mark::Mark};
use crate::system::signals;

/// The first word of its command line.
pub const COMMAND: &str = "watchdog";
/// So long after a freeze should have ended, the committing process has stalled.
const GRACE: Duration = Duration::from_secs(1);
/// No freeze is watched over for longer: poll(2) counts milliseconds in 31 bits.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
const POLL_PAUSE: Duration = Duration::from_millis(5);
const ABOUT_TO_FREEZE: u8 = b'f';
const ABOUT_TO_DELEGATE: u8 = b'd';
const THAWED: u8 = b't';
const DISMISSED: u8 = b'q';
const READY: u8 = b'r';

/// The committing process's side.
pub struct Watchdog {
    child: Child,
    pipe: Option<ChildStdin>,
    /// Nobody waits for its end.
    is_left: bool,
}

impl Watchdog {
    /// Starts it and waits until it is ready.
    ///
    /// `description` says what is to be thawed, or resumed; a freeze must end within `hold`.
    pub fn start(description: Vec<OsString>, hold: Duration) -> Result<Self> {
        let mut child = Command::new("/proc/self/exe")
            .arg0("freezeframe")
            .arg(COMMAND)
            .arg(hold.as_millis().to_string())
            .args(description)
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
        let watchdog = Self {
            child,
            pipe,
            is_left: false,
        };
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

    /// To be told before the real nerdctl may pause the container.
    pub fn about_to_delegate(&mut self) -> Result<()> {
        self.tell(ABOUT_TO_DELEGATE)
            .context("telling the watchdog of the delegated commit")
    }

    /// The pipe that whoever makes the pause must hold open.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    pub fn thawed(&mut self) {
        // A watchdog that is gone has nothing to do any more.
        let _ = self.tell(THAWED);
    }

    /// There is nothing to see to any more.
    pub fn dismiss(mut self) {
        // One that is gone needs no dismissal.
        let _ = self.tell(DISMISSED);
    }

    /// Leaves it to its duty, and stays for a while to see that done.
    pub fn leave(mut self, patience: Duration) {
        drop(self.pipe.take());
        let end = Instant::now() + patience;
        while Instant::now() < end && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(POLL_PAUSE);
        }
        self.is_left = true;
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
        if !self.is_left {
            // It ends by itself, now that its pipe is closed or it is dismissed.
            let _ = self.child.wait();
        }
    }
}

/// What the watchdog has to see to.
#[derive(Clone, Copy)]
enum Duty {
    Nothing,
    /// A freeze of our own, which must have ended by then.
    Freeze(Instant),
    /// A pause of the real nerdctl's, as long as that lives.
    Pause,
}

impl Duty {
    fn told(message: u8, hold: Duration) -> Self {
        match message {
            ABOUT_TO_FREEZE => Self::Freeze(Instant::now() + hold + GRACE),
            ABOUT_TO_DELEGATE => Self::Pause,
            _ => Self::Nothing,
        }
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Freeze(deadline) => Some(deadline),
            Self::Nothing | Self::Pause => None,
        }
    }
}

/// The watchdog's own life; `words` say how long a freeze may be held, in milliseconds, and what it watches over. Returns
/// when the committing process has ended.
pub fn run(words: &[OsString]) -> Result<()> {
    let (hold, words) = words
        .split_first()
        .context("the watchdog is started by a commit")?;
    let hold = hold.to_string_lossy().parse().unwrap_or(u64::MAX);
    let hold = Duration::from_millis(hold).min(LONGEST);
    signals::block_all()?;
    nix::unistd::setsid().context("leaving the session")?;
    let ward = Ward::from_description(words)?;
    io::stdout()
        .write_all(&[READY])
        .and_then(|()| io::stdout().flush())?;
    let mut duty = Duty::Nothing;
    loop {
        match next_message(duty.deadline())? {
            Event::Message(DISMISSED) => return Ok(()),
            Event::Message(message) => duty = Duty::told(message, hold),
            Event::Late => {
                ward.free();
                // It may freeze yet, once it runs again.
                duty = Duty::told(ABOUT_TO_FREEZE, hold);
            }
            Event::Gone => {
                if !matches!(duty, Duty::Nothing) {
                    ward.free();
                    ward.forget();
                }
                return Ok(());
            }
        }
    }
}

/// What the watchdog watches over.
enum Ward {
    Freeze(Freezer),
    Pause(Pause),
}

impl Ward {
    fn from_description(words: &[OsString]) -> Result<Self> {
        match words {
            [kind, rest @ ..] if kind == pause_watch::KIND => {
                Pause::from_description(rest).map(Self::Pause)
            }
            _ => Freezer::from_description(words).map(Self::Freeze),
        }
    }

    fn free(&self) {
        match self {
            Self::Freeze(freezer) => thaw(freezer),
            Self::Pause(pause) => pause.undo(),
        }
    }

    /// Nobody is left whose freeze the mark could tell of.
    fn forget(&self) {
        if let Self::Freeze(freezer) = self {
            Mark::remove_of(&freezer.name());
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
