//! A pause that the real nerdctl makes, in its own commit: it is undone where that is killed before it does so itself.
//!
//! In this process by `end`, by the watchdog where this process is killed too. Only a container that ran before is
//! resumed, and only one that is paused.

use std::os::fd::BorrowedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Freezer;
use super::watchdog::Watchdog;
use crate::containerd::{Containerd, TaskStatus};

/// A call for a pause may still be on its way in the daemon when its caller dies.
const SETTLING: Duration = Duration::from_secs(1);
/// A shell's exit code for a program that was killed is this and the signal's number (POSIX, 2.8.2).
const SHELLS_SIGNALS: i32 = 128;
const POLL_PAUSE: Duration = Duration::from_millis(20);

/// Held while the real nerdctl may pause the container.
pub struct PauseWatch {
    freezer: Freezer,
    watchdog: Watchdog,
}

impl PauseWatch {
    /// Begins to watch over `container`; `None` where its processes do not run, as then nobody pauses it.
    pub fn start(
        containerd: &Containerd,
        container: &str,
        status: TaskStatus,
    ) -> Result<Option<Self>> {
        if status != TaskStatus::Running {
            return Ok(None);
        }
        let freezer = Freezer::Task {
            containerd: containerd.for_cleaning_up(),
            container: container.to_owned(),
        };
        let mut watchdog = Watchdog::start(&freezer)?;
        watchdog.about_to_delegate()?;
        Ok(Some(Self { freezer, watchdog }))
    }

    /// What the real nerdctl must hold open.
    pub fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.watchdog.pipe()
    }

    /// The real nerdctl has ended so, or was never started.
    pub fn end(mut self, status: Option<ExitStatus>) {
        if status.is_some_and(was_killed) {
            undo_pause(&self.freezer);
        }
        self.watchdog.thawed();
    }
}

/// Resumes the container once it is seen paused. Errors may pass, and there is nobody who could do more about them.
pub fn undo_pause(freezer: &Freezer) {
    let end = Instant::now() + SETTLING;
    while Instant::now() < end {
        if freezer.is_frozen().unwrap_or(false) && freezer.thaw().is_ok() {
            return;
        }
        std::thread::sleep(POLL_PAUSE);
    }
}

/// By a signal, or a shell around it says so. One that only fails has undone its pause; what is paused then is
/// somebody else's.
fn was_killed(status: ExitStatus) -> bool {
    status.signal().is_some() || status.code().is_some_and(|code| code > SHELLS_SIGNALS)
}
