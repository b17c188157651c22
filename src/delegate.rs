//! Delegation: what the direct way does not take goes to the real nerdctl, after a `syncfs` that spares the container
//! most of the global sync that the real one does inside the pause.
//!
//! Where the real one loses the race against a container that goes on writing, it is tried again, within a bound; what
//! the lost tries printed is withheld, unless `--debug` asks for it. The last try's output, exit code and signal are the
//! real one's. A container that ran before runs afterwards, however the real one ended.

mod output;

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::containerd::{Containerd, Task, TaskStatus};
use crate::freeze::{ContainerTask, Pause, PauseWatch, ensure_outside};
use crate::last_words::last_words;
use crate::locks;
use crate::log;
use crate::passthrough::RealNerdctl;
use crate::plan::Subject;
use crate::system::children::tie_to_this_process;
use crate::system::lock::DirectoryLock;
use crate::system::signals;
use crate::system::sync::DiskSync;
use output::{Output, Reading};

const POLL_PAUSE: Duration = Duration::from_millis(5);
const MOST_TRIES: usize = 5;

/// What containerd's differ and Go's tar writer say of a file that changes or vanishes while they read it.
const LOST_RACES: [&str; 3] = ["write too long", "missed writing", "short write"];
const VANISHED: [&str; 2] = ["failed to export layer", "no such file or directory"];
/// What nerdctl warns of, whether or not its commit succeeds (its pkg/imgutil/commit).
const NOT_RESUMED: &str = "failed to unpause container";

/// The container runs, and may not be paused for as long as the real nerdctl takes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PauseRefused(String);

/// A commit by the real nerdctl.
pub struct Delegation<'a> {
    pub containerd: &'a Containerd,
    pub real: &'a RealNerdctl,
    pub subject: &'a Subject,
    pub words: &'a [OsString],
    /// Whether a container that runs is paused for it.
    pub pauses: bool,
    /// Why it may not be.
    pub refusal: Option<String>,
}

/// One try that has ended, with what it printed.
pub struct Try {
    pub status: ExitStatus,
    output: Output,
}

impl Delegation<'_> {
    /// Tries until the race is not lost, or has been lost too often; returns the last try, whose output is to be printed.
    pub fn run(&self) -> Result<Try> {
        let mut last = self.attempt()?;
        for _ in 1..MOST_TRIES {
            if !last.lost_the_race() || signals::check().is_err() {
                break;
            }
            last.note();
            last = self.attempt()?;
        }
        Ok(last)
    }

    /// Tries once, and prints nothing yet.
    pub fn attempt(&self) -> Result<Try> {
        let lock = locks::nerdctls_lock(self.subject)?;
        // Another commit's pause would hide what the container does of itself.
        drop(lock.as_deref().map(DirectoryLock::acquire).transpose()?);
        let task = self.containerd.task(&self.subject.id)?;
        sync_root(task)?;
        let watch = self.watch(task, lock)?;
        let mut command = self.real.command(self.words);
        tie_to_this_process(&mut command, watch.as_ref().and_then(PauseWatch::pipe));
        let outcome = run_captured(command);
        if let Some(watch) = watch {
            watch.end(outcome.as_ref().is_ok_and(Try::may_have_left_a_pause));
        }
        outcome
    }

    /// `None` where the real nerdctl pauses nothing.
    fn watch(&self, task: Task, lock: Option<PathBuf>) -> Result<Option<PauseWatch>> {
        if !self.pauses || task.status != TaskStatus::Running {
            return Ok(None);
        }
        if let Some(refusal) = &self.refusal {
            bail!(PauseRefused(refusal.clone()));
        }
        ensure_outside(self.containerd, self.subject)?;
        let pause = Pause {
            task: ContainerTask::of(self.containerd, self.subject),
            lock,
        };
        PauseWatch::start(&pause).map(Some)
    }
}

/// The real nerdctl's answer to `words` of which nobody knows which container they are about.
pub fn hand_over(real: &RealNerdctl, words: &[OsString]) -> Result<Try> {
    let mut command = real.command(words);
    tie_to_this_process(&mut command, None);
    run_captured(command)
}

/// Runs a command to its end, and keeps what it prints.
fn run_captured(mut command: Command) -> Result<Try> {
    let reading = Reading::of(&mut command)?;
    let mut child = command
        .spawn()
        .with_context(|| format!("running {}", command.get_program().display()))?;
    // It holds the other ends of what is read from.
    drop(command);
    let status = wait(&mut child)?;
    Ok(Try {
        status,
        output: reading.finish(),
    })
}

impl Try {
    /// Whether it failed only because the container went on writing.
    pub fn lost_the_race(&self) -> bool {
        let said = String::from_utf8_lossy(&self.output.errors);
        let vanished = VANISHED.iter().all(|part| said.contains(part));
        let raced = LOST_RACES.iter().any(|error| said.contains(error));
        !self.status.success() && (raced || vanished)
    }

    /// Whether it may have ended without undoing its pause: by a signal, as a shell says that of another (POSIX, 2.8.2), with
    /// the 2 of a Go program that SIGQUIT or a panic ended, or because containerd did not answer just then.
    fn may_have_left_a_pause(&self) -> bool {
        let was_killed =
            self.status.signal().is_some() || matches!(self.status.code(), Some(2 | 129..=192));
        was_killed || String::from_utf8_lossy(&self.output.errors).contains(NOT_RESUMED)
    }

    /// Withholds what it printed from all but those who debug.
    pub fn note(&self) {
        let said = String::from_utf8_lossy(&self.output.errors);
        log::debug(&format!("the real nerdctl lost the race: {}", said.trim()));
    }

    /// How it ended, and its last line, which is the reason.
    pub fn describe(&self) -> String {
        let status = self.status;
        match last_words(&self.output.errors) {
            Some(words) => format!("the real nerdctl ended with {status}: {words}"),
            None => format!("the real nerdctl ended with {status}"),
        }
    }

    pub fn print(&self) -> Result<()> {
        self.output.print()
    }
}

/// Waits for the real nerdctl, and hands a signal on to it.
fn wait(child: &mut Child) -> Result<ExitStatus> {
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let mut forwarded = false;
    loop {
        if let Some(status) = child.try_wait().context("waiting for the real nerdctl")? {
            return Ok(status);
        }
        if signals::check().is_err() && !forwarded {
            // It may have got the signal from the terminal as well: once more does no harm.
            let _ = kill(pid, Signal::SIGTERM);
            forwarded = true;
        }
        std::thread::sleep(POLL_PAUSE);
    }
}

/// Writes the container's root file system back, wherever its first process has put its root. One that does not run has
/// little that is dirty, and no root to open. It only helps: where it fails the commit does not.
fn sync_root(task: Task) -> Result<()> {
    if task.status == TaskStatus::Idle {
        return Ok(());
    }
    let root = PathBuf::from(format!("/proc/{}/root", task.pid));
    let synced = DiskSync::of_file_system_at(root).and_then(DiskSync::wait);
    if let Err(error) = synced {
        signals::check()?;
        log::debug(&format!("no syncfs of the container's root: {error:#}"));
    }
    Ok(())
}
