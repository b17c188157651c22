//! Freezing, and never leaving frozen.
//!
//! Four things see to the thaw: the caller's `thaw`, the guard's `Drop` on every other way out, a watchdog process that
//! thaws when we die or stall, and a mark by which the next commit knows a freeze that outlived both. containerd does
//! not know of a direct freeze and would refuse to resume it, so nobody else would.

mod abandoned;
mod cgroup;
mod inside;
mod mark;
mod pause_watch;
mod task;
pub mod watchdog;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub use abandoned::{clean_up_after_the_dead, name_in_marks, thaw_abandoned};
pub use cgroup::{Cgroup, Stuck, Version};
pub use inside::ensure_outside;
pub use mark::check as check_marks;
pub use pause_watch::{Pause, PauseWatch};
pub use task::ContainerTask;

use crate::containerd::Containerd;
use crate::log;
use crate::plan::Subject;
use crate::system::signals::HeldStops;
use mark::Mark;
use watchdog::Watchdog;

/// How long processes may take to freeze. It counts as frozen time, as some are frozen already.
const FREEZE_BOUND: Duration = Duration::from_secs(1);
/// How long a freeze may be held unless somebody says; the watchdog thaws a second after.
pub const HOLD_BOUND: Duration = Duration::from_secs(4);
/// A call for a pause may still be on its way in the daemon when nobody waits for it any more.
const SETTLING: Duration = Duration::from_secs(1);
const POLL_PAUSE: Duration = Duration::from_millis(20);
/// How long a watchdog is waited for that has to do what we could not.
const WATCHDOG_PATIENCE: Duration = Duration::from_secs(2);

/// A container could not be thawed; this command does it.
#[derive(Debug, thiserror::Error)]
#[error("the container may still be frozen; `{0}` thaws it")]
pub struct MayBeFrozen(String);

/// What can stop and start a container's processes.
pub enum Freezer {
    Cgroup(Cgroup),
    Task(ContainerTask),
}

impl Freezer {
    /// What freezes the container while its first process is `pid`.
    pub fn of_container(containerd: &Containerd, subject: &Subject, pid: u32) -> Result<Self> {
        let cgroup = Cgroup::of_container(pid, &subject.id, subject.cgroups_path())?;
        Ok(match cgroup {
            Some(cgroup) => Self::Cgroup(cgroup),
            None => Self::Task(ContainerTask::of(containerd, subject)),
        })
    }

    /// Freezes the container until the guard is thawed or dropped, which it must be within `hold`. `may_freeze` is asked when
    /// all else is ready. The mark names it `container`.
    ///
    /// Given up where it said no, somebody else has frozen the container, or we stood still: then it may be tried again.
    pub fn freeze(
        &self,
        container: &str,
        hold: Duration,
        may_freeze: impl FnOnce() -> Result<bool>,
    ) -> Result<Attempt<'_>> {
        self.ensure_outside()?;
        let stops = HeldStops::new()?;
        let mut watchdog = Watchdog::start(self.description(), hold)?;
        let mark = Mark::write(&self.name(), container, &watchdog.identity()?)?;
        if !may_freeze()? || self.is_frozen()? {
            return Ok(Attempt::GivenUp(Duration::ZERO));
        }
        watchdog.about_to_freeze()?;
        let frozen = Frozen {
            freezer: self,
            hold,
            watchdog,
            mark: Some(mark),
            since: Instant::now(),
            is_over: false,
            _stops: stops,
        };
        let is_frozen = match self {
            Self::Cgroup(cgroup) => cgroup.freeze(FREEZE_BOUND.min(hold))?,
            Self::Task(task) => task.pause().map(|()| true)?,
        };
        Ok(if is_frozen {
            Attempt::Frozen(frozen)
        } else {
            Attempt::GivenUp(frozen.thaw()?)
        })
    }

    /// Whether its processes are stopped now, by whomever.
    pub fn is_frozen(&self) -> Result<bool> {
        match self {
            Self::Cgroup(cgroup) => cgroup.is_frozen(),
            Self::Task(task) => task.is_paused(),
        }
    }

    pub fn processes(&self) -> Result<Vec<u32>> {
        match self {
            Self::Cgroup(cgroup) => cgroup.processes(),
            Self::Task(task) => task.processes(),
        }
    }

    /// Freezes again what somebody paused through containerd while we held it frozen, where our thaw has undone that; unless it
    /// is not paused any more. Its first process is `pid`; the mark names it `container`.
    pub fn freeze_for_others(
        &self,
        container: &str,
        pid: u32,
        is_paused: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let Self::Cgroup(cgroup) = self else {
            return Ok(());
        };
        // Of what is paused below, whoever resumes it does not thaw us.
        while is_paused()? && !self.is_frozen()? && !cgroup.is_frozen_below(pid)? {
            if let Attempt::Frozen(frozen) = self.freeze(container, HOLD_BOUND, &is_paused)? {
                // Resumed just before that, nobody would do it again; and the watchdog may have come first.
                if is_paused()? && frozen.holds()? {
                    frozen.give_away();
                    return Ok(());
                }
                frozen.thaw()?;
            }
        }
        Ok(())
    }

    /// # Errors
    /// [`MayBeFrozen`]
    fn thaw(&self) -> Result<()> {
        let thawed = match self {
            Self::Cgroup(cgroup) => cgroup.thaw(),
            Self::Task(task) => task.resume(),
        };
        thawed.with_context(|| MayBeFrozen(self.remedy()))
    }

    /// The command that thaws the container, where it is not frozen with what it is part of.
    pub fn thawed_by(&self) -> Result<Option<String>> {
        let is_enough = match self {
            Self::Cgroup(cgroup) => cgroup.is_asked_to_freeze()?,
            Self::Task(_) => true,
        };
        Ok(is_enough.then(|| self.remedy()))
    }

    /// A command that undoes our freeze.
    fn remedy(&self) -> String {
        match self {
            Self::Cgroup(cgroup) => cgroup.remedy(),
            Self::Task(task) => task.remedy(),
        }
    }

    /// Unique among the freezers of this machine.
    fn name(&self) -> String {
        self.description()
            .iter()
            .map(|part| part.to_string_lossy())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// As words of a command line, for the watchdog.
    pub fn description(&self) -> Vec<OsString> {
        match self {
            Self::Cgroup(Cgroup { version, directory }) => {
                vec![version.name().into(), directory.into()]
            }
            Self::Task(task) => std::iter::once(task::KIND.into())
                .chain(task.words())
                .collect(),
        }
    }

    /// The freezer that these words describe.
    pub fn from_description(words: &[OsString]) -> Result<Self> {
        if let [kind, directory] = words
            && let Some(version) = Version::named(&kind.to_string_lossy())
        {
            let directory = directory.into();
            return Ok(Self::Cgroup(Cgroup { version, directory }));
        }
        let words = words.strip_prefix(&[task::KIND.into()]).unwrap_or_default();
        Ok(Self::Task(ContainerTask::from_words(words)?.0))
    }
}

/// What came of wanting a container frozen.
pub enum Attempt<'freezer> {
    Frozen(Frozen<'freezer>),
    /// Nothing is left for us to thaw; for so long some of it may have been frozen.
    GivenUp(Duration),
}

/// A container that is frozen as long as this lives.
pub struct Frozen<'freezer> {
    freezer: &'freezer Freezer,
    hold: Duration,
    watchdog: Watchdog,
    mark: Option<Mark>,
    since: Instant,
    /// Nothing is left for us to thaw.
    is_over: bool,
    _stops: HeldStops,
}

impl Frozen<'_> {
    /// When the caller must be done.
    pub fn deadline(&self) -> Instant {
        self.since + self.hold
    }

    /// Whether it still is. Others can thaw it: runc does, to deliver a SIGKILL, and so does our own watchdog.
    pub fn holds(&self) -> Result<bool> {
        self.freezer.is_frozen()
    }

    /// Lets the container run; returns how long it was frozen.
    ///
    /// # Errors
    /// As the freezer's own thaw.
    pub fn thaw(mut self) -> Result<Duration> {
        match self.thaw_now() {
            Err(error) if !self.leave() => Err(error),
            _ => Ok(self.since.elapsed()),
        }
    }

    /// Leaves it frozen, as somebody else's.
    fn give_away(mut self) {
        self.conclude();
    }

    fn thaw_now(&mut self) -> Result<()> {
        self.freezer.thaw()?;
        self.conclude();
        Ok(())
    }

    fn conclude(&mut self) {
        self.is_over = true;
        self.watchdog.thawed();
        drop(self.mark.take());
    }

    /// The watchdog sees our end of its pipe close, and tries as well; the mark stays for the next commit. Says whether the
    /// watchdog has done it.
    fn leave(&mut self) -> bool {
        self.is_over = true;
        if let Some(mark) = self.mark.take() {
            mark.leave();
        }
        self.watchdog.leave(WATCHDOG_PATIENCE)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // There is another error already, which says nothing of this.
        if let Err(error) = self.thaw_now()
            && !self.leave()
        {
            log::warnings(&[format!("{error:#}")]);
        }
    }
}
