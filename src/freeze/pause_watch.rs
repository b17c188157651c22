//! A pause that the real nerdctl makes, in its own commit: it is undone where that ends without doing so itself.
//!
//! By a watchdog, once everybody is gone who could still be at work on it. Only a container that ran before is resumed,
//! only one that is paused, and only while no other commit holds nerdctl's lock: a pause may be somebody else's. One that was
//! there all the while that another commit held it, none has made: a commit undoes its own before.

use std::ffi::OsString;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::task::ContainerTask;
use super::watchdog::Watchdog;
use super::{HOLD_BOUND, POLL_PAUSE, SETTLING};
use crate::log;
use crate::system::lock::DirectoryLock;

/// The first word of a description.
pub const KIND: &str = "pause";
/// How long we stay to see the container resumed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a containerd that does not answer is waited for, and how often it is asked.
const MOST_AWAY: Duration = Duration::from_secs(600);
const ASK_PAUSE: Duration = Duration::from_secs(1);

/// The container that may be paused, and where whoever pauses it holds a lock.
pub struct Pause {
    pub task: ContainerTask,
    pub lock: Option<PathBuf>,
}

impl Pause {
    fn description(&self) -> Vec<OsString> {
        let lock = self.lock.iter().map(OsString::from);
        let task = self.task.words();
        std::iter::once(KIND.into())
            .chain(task)
            .chain(lock)
            .collect()
    }

    /// From the words after the kind.
    pub fn from_description(words: &[OsString]) -> Result<Self> {
        let (task, lock) = ContainerTask::from_words(words)?;
        let lock = lock.first().map(PathBuf::from);
        Ok(Self { task, lock })
    }

    /// Resumes the container once it is seen paused. A containerd that is being restarted comes back, and with it the pause.
    pub fn undo(&self) {
        let mut end = Instant::now() + SETTLING;
        let mut has_waited = false;
        while Instant::now() < end {
            match self.try_to_undo() {
                Ok(State::Resumed) => return,
                // It was resumed, and a pause that comes now is another.
                Ok(State::Running) if has_waited => return,
                Ok(State::Running) => {}
                Ok(State::Locked) => {
                    has_waited = true;
                    end = Instant::now() + SETTLING;
                }
                Err(_) => match self.await_containerd() {
                    Ok(true) => end = Instant::now() + SETTLING,
                    Ok(false) => {}
                    Err(_) => return,
                },
            }
            std::thread::sleep(POLL_PAUSE);
        }
    }

    /// Waits for a containerd that does not answer; says whether it had to.
    ///
    /// # Errors
    /// It does not come back.
    fn await_containerd(&self) -> Result<bool> {
        let containerd = self.task.containerd.for_cleaning_up();
        let began = Instant::now();
        let mut was_away = false;
        while let Err(error) = containerd.ensure_it_answers() {
            ensure!(began.elapsed() < MOST_AWAY, error);
            was_away = true;
            std::thread::sleep(ASK_PAUSE);
        }
        Ok(was_away)
    }

    fn try_to_undo(&self) -> Result<State> {
        if !self.task.is_paused()? {
            return Ok(State::Running);
        }
        let lock = self.lock.as_deref().map(DirectoryLock::try_acquire);
        if matches!(lock, Some(Ok(None))) {
            return Ok(State::Locked);
        }
        self.task.containerd.resume_task(&self.task.container)?;
        Ok(State::Resumed)
    }
}

/// What became of a pause.
enum State {
    /// There is none, or none yet.
    Running,
    /// It may be of whoever holds the lock.
    Locked,
    Resumed,
}

/// Held while the real nerdctl may pause the container.
pub struct PauseWatch {
    watchdog: Watchdog,
    task: ContainerTask,
}

impl PauseWatch {
    /// Begins to watch over a container that runs.
    pub fn start(pause: &Pause) -> Result<Self> {
        let mut watchdog = Watchdog::start(pause.description(), HOLD_BOUND)?;
        watchdog.about_to_delegate()?;
        let task = pause.task.clone();
        Ok(Self { watchdog, task })
    }

    /// What the real nerdctl must hold open.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.watchdog.pipe()
    }

    /// The real nerdctl has ended, or was never started. What it has started may hold the pipe open still.
    pub fn end(mut self, may_be_paused: bool) {
        if !may_be_paused {
            self.watchdog.dismiss();
        } else if !self.watchdog.leave(PATIENCE) && !self.task.is_known() {
            log::warnings(&[format!(
                "containerd does not answer: should the container still be paused when it does, `{}` resumes it",
                self.task.remedy()
            )]);
        }
    }
}
