//! The watchdog: a process of its own that thaws the container when the committing process dies or stalls.
//!
//! It is this program again, in a session of its own, with every signal blocked. It holds the only other end of a pipe
//! whose closing it cannot miss. `f` on the pipe announces a freeze and starts its clock, `t` tells of the thaw. `d`
//! announces a pause that the real nerdctl makes, which may last; that one holds the pipe open as well, so that the
//! watchdog acts when both have ended. `q` dismisses it, whoever holds the pipe.
//! A watchdog that is itself killed or stopped holds nobody up: the committing process thaws without it.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::retry_on_intr;

use super::pause_watch::{self, Pause};
use super::{Freezer, mark};
use crate::system::children::{close_inherited, ends_within, is_readable_within};
use crate::system::identity::{ProcessIdentity, has_ended};
use crate::system::signals;

/// The first word of its command line.
pub const COMMAND: &str = "watchdog";
/// So long after a freeze should have ended, the committing process has stalled.
const GRACE: Duration = Duration::from_secs(1);
/// No freeze is watched over for longer: poll(2) counts milliseconds in 31 bits.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long it may take to be there, and to end: longer than on any machine, unless somebody has stopped it.
const START_BOUND: Duration = Duration::from_secs(10);
const END_BOUND: Duration = Duration::from_secs(5);
/// A thaw that fails is tried again for five seconds; the next commit thaws what is still frozen then.
const THAW_TRIES: usize = 50;
const THAW_PAUSE: Duration = Duration::from_millis(100);
const ABOUT_TO_FREEZE: u8 = b'f';
const ABOUT_TO_DELEGATE: u8 = b'd';
const THAWED: u8 = b't';
const DISMISSED: u8 = b'q';
const READY: u8 = b'r';
const ENDED: &str = "the watchdog has been ended by somebody: nothing was frozen, try again";

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
    /// `description` says what is to be thawed, or resumed; a freeze, but no pause, must end within `hold`.
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
        let output = child.stdout.take();
        let watchdog = Self {
            pipe: child.stdin.take(),
            child,
            is_left: false,
        };
        let is_ready = output.is_some_and(|output| says_it_is_ready(&output));
        ensure!(
            is_ready,
            "the watchdog does not start: nothing was frozen, try again"
        );
        Ok(watchdog)
    }

    /// # Errors
    /// It has ended.
    pub fn identity(&self) -> Result<ProcessIdentity> {
        ProcessIdentity::of(self.child.id()).map_err(|error| {
            let what = if has_ended(&error) {
                ENDED
            } else {
                "identifying the watchdog"
            };
            anyhow::Error::from(error).context(what)
        })
    }

    /// To be told before the freeze; without a watchdog there must be none.
    pub fn about_to_freeze(&mut self) -> Result<()> {
        self.tell(ABOUT_TO_FREEZE).context(ENDED)
    }

    /// To be told before the real nerdctl may pause the container.
    pub fn about_to_delegate(&mut self) -> Result<()> {
        self.tell(ABOUT_TO_DELEGATE).context(ENDED)
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

    /// Leaves it to its duty, and stays for a while to see that done; says whether it was.
    pub fn leave(&mut self, patience: Duration) -> bool {
        drop(self.pipe.take());
        self.is_left = true;
        let succeeded = |end: ExitStatus| end.success();
        ends_within(&mut self.child, patience) && self.child.wait().is_ok_and(succeeded)
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
        // It ends by itself, now that its pipe is closed or it is dismissed. One that is stopped has nothing left to do.
        if !self.is_left && !ends_within(&mut self.child, END_BOUND) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn says_it_is_ready(output: &ChildStdout) -> bool {
    let mut answer = [0];
    is_readable_within(output, START_BOUND).unwrap_or(false)
        && rustix::io::read(output, &mut answer).is_ok_and(|count| answer[..count] == [READY])
}

/// What the watchdog has to see to.
#[derive(Clone, Copy)]
enum Duty {
    Nothing,
    /// A freeze of our own, which must have ended by then.
    Freeze(Instant),
    /// The mark of a freeze that we have ended. Who freezes the container from now on is somebody else: a commit that
    /// comes so late makes no freeze any more without another announcement.
    Mark,
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
            Self::Nothing | Self::Mark | Self::Pause => None,
        }
    }
}

/// The watchdog's own life; `words` say how long a freeze may be held, in milliseconds, and what it watches over. Returns
/// when the committing process has ended.
///
/// # Errors
/// What was left to be done could not be.
pub fn run(words: &[OsString]) -> Result<()> {
    let (hold, words) = words
        .split_first()
        .context("the watchdog is started by a commit")?;
    let hold = hold.to_string_lossy().parse().unwrap_or(u64::MAX);
    let hold = Duration::from_millis(hold).min(LONGEST);
    close_inherited();
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
            Event::Late if ward.free() => duty = Duty::Mark,
            Event::Late => duty = Duty::told(ABOUT_TO_FREEZE, hold),
            Event::Gone => {
                let is_over = ward.end(duty);
                ensure!(is_over, "the container may still be frozen");
                return Ok(());
            }
        }
    }
}

/// What the watchdog watches over.
enum Ward {
    /// A freeze that `holder` makes, the committing process.
    Freeze {
        freezer: Freezer,
        holder: ProcessIdentity,
    },
    Pause(Pause),
}

impl Ward {
    fn from_description(words: &[OsString]) -> Result<Self> {
        match words {
            [kind, rest @ ..] if kind == pause_watch::KIND => {
                Pause::from_description(rest).map(Self::Pause)
            }
            _ => Ok(Self::Freeze {
                freezer: Freezer::from_description(words)?,
                holder: ProcessIdentity::of(parent_id())
                    .context("finding the committing process")?,
            }),
        }
    }

    /// False where it is as it was.
    fn free(&self) -> bool {
        match self {
            Self::Freeze { freezer, .. } => thaw(freezer),
            Self::Pause(pause) => {
                pause.undo();
                true
            }
        }
    }

    /// The committing process has ended with that left to do; says whether nothing is left any more.
    fn end(&self, duty: Duty) -> bool {
        let is_over = match duty {
            // It may have died between its mark and its freeze, or between the thaw and the mark's removal.
            Duty::Nothing => true,
            // The next commit finds out who it was that froze it again.
            Duty::Mark => self.is_free(),
            Duty::Freeze(_) | Duty::Pause => self.free(),
        };
        if let Self::Freeze { freezer, holder } = self
            && is_over
        {
            mark::forget(&freezer.name(), &holder.to_string());
        }
        is_over
    }

    fn is_free(&self) -> bool {
        match self {
            Self::Freeze { freezer, .. } => matches!(freezer.is_frozen(), Ok(false)),
            Self::Pause(_) => true,
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
    if let Some(deadline) = deadline {
        let patience = deadline.saturating_duration_since(Instant::now());
        let waited = is_readable_within(&input, patience);
        if !waited.context("waiting for the committing process")? {
            return Ok(Event::Late);
        }
    }
    let mut message = [0];
    let count = retry_on_intr(|| rustix::io::read(&input, &mut message))
        .context("reading from the committing process")?;
    Ok(match count {
        0 => Event::Gone,
        _ => Event::Message(message[0]),
    })
}

/// There is nobody to tell of a failure; the mark tells the next commit.
fn thaw(freezer: &Freezer) -> bool {
    if let Freezer::Task(task) = freezer {
        task.await_late_pause();
    }
    for _ in 0..THAW_TRIES {
        if freezer.thaw().is_ok() {
            return true;
        }
        std::thread::sleep(THAW_PAUSE);
    }
    false
}
