//! The commit, from its arguments to its exit code: what it is about, which way it goes, and what is said of it.

use std::io::{IsTerminal, stderr, stdout};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::arguments::CommitArguments;
use crate::containerd::{Containerd, TaskStatus, Unreachable};
use crate::delegate::{self, Delegation, PauseRefused, Try};
use crate::direct::DirectCommit;
use crate::fetch::Supply;
use crate::freeze::{self, MayBeFrozen};
use crate::log;
use crate::passthrough::RealNerdctl;
use crate::plan::{DirectPlan, InspectFailed, NoSuchContainer, Obstacle, Plan, Subject};
use crate::report::{self, Report};
use crate::settings::{
    Misconfigured, ROOTLESS, Reserve, Settings, Strategy, is_rootless, max_pause, report_path,
};
use crate::stages::Stages;
use crate::system::output::{fill_standard_descriptors, write_all};
use crate::system::text::printable;
use crate::system::{limits, signals};

/// Runs a commit to its end and returns the exit code.
pub fn run(arguments: &CommitArguments) -> i32 {
    if arguments.debug == Some(true) {
        log::enable_debug();
    }
    let mut commit = Commit {
        arguments,
        reserve: Reserve::Unsaid,
        max_pause: None,
        killed_by: None,
        report: Report::default(),
        report_path: None,
        stages: Stages::default(),
    };
    let outcome = begin().and_then(|()| undoing_panics(|| commit.perform()));
    let outcome = match (outcome, signals::check()) {
        // Whatever else an interrupted step said, the signal is the reason.
        (Err(error), Err(stopped)) if !error.is::<MayBeFrozen>() => Err(stopped.into()),
        (outcome, _) => outcome,
    };
    let code = commit.conclude(outcome);
    match (signals::check(), commit.killed_by) {
        (Err(stopped), _) if code != 0 => signals::die_of(stopped),
        (_, Some(signal)) => signals::die_of_signal(signal),
        _ => {}
    }
    code
}

/// Says what is wrong with a commit's arguments, in the report as well; returns the exit code.
pub fn refuse(message: &str, typed_report: Option<&Path>) -> i32 {
    log::fatal(message);
    let mut report = Report::default();
    report.error = Some(message.to_owned());
    // It has failed already, whether or not the report says so.
    let _ = write_report(&report, report_path(typed_report).as_deref());
    1
}

/// Writes the report to `path`, if anywhere; says what stood in the way, and whether nothing did.
#[must_use]
fn write_report(report: &Report, path: Option<&Path>) -> bool {
    let written = path.map_or(Ok(()), |path| report.write(path));
    if let Err(error) = &written {
        log::fatal(&format!("{error:#}"));
    }
    written.is_ok()
}

/// A panic undoes what was begun only where something below catches it, and C, which called us, does not.
fn undoing_panics<T>(act: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(act))
        .unwrap_or_else(|_| bail!("freezeframe has a fault, see above"))
}

fn begin() -> Result<()> {
    fill_standard_descriptors()?;
    limits::raise();
    signals::take_over()
}

struct Commit<'a> {
    arguments: &'a CommitArguments,
    reserve: Reserve,
    max_pause: Option<Duration>,
    /// The signal that ended the real nerdctl.
    killed_by: Option<i32>,
    report: Report,
    /// Where the report can be put, if it was asked for.
    report_path: Option<PathBuf>,
    stages: Stages,
}

/// The daemon, and the container that is to be committed.
struct Scene {
    containerd: Containerd,
    subject: Subject,
}

impl Scene {
    fn runs(&self) -> bool {
        self.subject.task.status == TaskStatus::Running
    }
}

impl<'a> Commit<'a> {
    /// Plans the commit and carries the plan out; returns the exit code of whoever did it.
    fn perform(&mut self) -> Result<i32> {
        if let Some(path) = report_path(self.arguments.report.as_deref()) {
            report::check(&path)?;
            self.report_path = Some(path);
        }
        let strategy = Strategy::from_environment()?;
        self.max_pause = max_pause(self.arguments.max_pause)?;
        let real = RealNerdctl::find()?;
        if is_rootless() {
            return self.hand_over(&needed(real, ROOTLESS)?, &anyhow!(ROOTLESS));
        }
        self.reserve = Reserve::from_environment()?;
        let mut scene = match (self.look(real.as_ref()), &real) {
            (Err(error), Some(real))
                if strategy != Strategy::Direct && self.is_better_said(&error, real) =>
            {
                return self.hand_over(real, &error);
            }
            (scene, _) => scene?,
        };
        self.report.container_id = Some(scene.subject.id.clone());
        freeze::clean_up_after_the_dead(&scene.containerd, &scene.subject)?;
        match (strategy, real) {
            (Strategy::Fallback, Some(real)) => self.fall_back(&mut scene, &real),
            (strategy, real) => self.carry_out(&scene, real.as_ref(), strategy),
        }
    }

    /// Finds out which daemon and which container this is about.
    fn look(&mut self, real: Option<&RealNerdctl>) -> Result<Scene> {
        let arguments = self.arguments;
        let settings = Settings::of(arguments, real.is_some())?;
        if settings.debug && arguments.debug.is_none() {
            log::enable_debug();
        }
        let containerd = Containerd::connect(&settings.address, &settings.namespace)?;
        let subject = self
            .stages
            .time("resolve", || Subject::resolve(&containerd, real, arguments))?;
        Ok(Scene {
            containerd,
            subject,
        })
    }

    fn carry_out(
        &mut self,
        scene: &Scene,
        real: Option<&RealNerdctl>,
        strategy: Strategy,
    ) -> Result<i32> {
        let explain = |error| scene.subject.explain(&scene.containerd, error);
        let plan = self.stages.time("plan", || {
            Plan::make(&scene.containerd, &scene.subject, self.arguments, strategy).map_err(explain)
        })?;
        let reason = match plan {
            Plan::Direct(plan) => match self.commit_directly(scene, real, &plan) {
                // Nothing but trying tells, and of that nothing is left by now.
                Err(error) if error.is::<Obstacle>() && strategy != Strategy::Direct => {
                    format!("{error:#}")
                }
                done => return done.map_err(explain).map(|()| 0),
            },
            Plan::Delegate { reason } => reason,
        };
        self.delegate(scene, real, &reason).map_err(explain)
    }

    fn commit_directly(
        &mut self,
        scene: &Scene,
        real: Option<&RealNerdctl>,
        plan: &DirectPlan,
    ) -> Result<()> {
        (self.report.strategy, self.report.reason) = (Some("direct"), None);
        let direct = DirectCommit {
            containerd: &scene.containerd,
            subject: &scene.subject,
            plan,
            arguments: self.arguments,
            reserve: self.reserve,
            max_pause: self.max_pause,
        };
        direct.run(&mut self.stages, &mut self.report)?;
        self.print_digest()?;
        let supply = Supply {
            containerd: &scene.containerd.for_cleaning_up(),
            real,
            arguments: self.arguments,
            subject: &scene.subject,
            plan,
        };
        log::warnings(supply.run(&mut self.stages).as_slice());
        Ok(())
    }

    fn delegate(&mut self, scene: &Scene, real: Option<&RealNerdctl>, reason: &str) -> Result<i32> {
        self.note_delegation(reason);
        if let Some(refusal) = self.refuse_delegation(reason, scene.runs()) {
            bail!(refusal);
        }
        let real = needed(real, reason)?;
        let delegation = self.delegation(scene, real, reason)?;
        let last = self.stages.time("delegate", || delegation.run())?;
        self.delegated(&last)
    }

    fn delegation<'s>(
        &self,
        scene: &'s Scene,
        real: &'s RealNerdctl,
        reason: &str,
    ) -> Result<Delegation<'s>>
    where
        'a: 's,
    {
        signals::allow_stops()?;
        Ok(Delegation {
            containerd: &scene.containerd,
            real,
            subject: &scene.subject,
            words: &self.arguments.words,
            pauses: self.arguments.pause,
            // It may run by then.
            refusal: self.refuse_delegation(reason, true),
        })
    }

    /// The real nerdctl first; where it loses the race against the container, whatever else can be done.
    fn fall_back(&mut self, scene: &mut Scene, real: &RealNerdctl) -> Result<i32> {
        let reason = "FREEZEFRAME_STRATEGY=fallback";
        if self.refuse_delegation(reason, scene.runs()).is_some() {
            return self.carry_out(scene, Some(real), Strategy::Auto);
        }
        self.note_delegation(reason);
        let delegation = self.delegation(scene, real, reason)?;
        match self.stages.time("delegate", || delegation.attempt()) {
            // It has begun to run.
            Err(error) if error.is::<PauseRefused>() => {}
            Ok(first) if first.lost_the_race() && signals::check().is_ok() => first.note(),
            ended => return self.delegated(&ended?),
        }
        signals::block_stops()?;
        scene.subject.look_again(&scene.containerd)?;
        self.carry_out(scene, Some(real), Strategy::Auto)
    }

    /// What we cannot make sense of, the real nerdctl has its own words for.
    fn hand_over(&mut self, real: &RealNerdctl, why: &anyhow::Error) -> Result<i32> {
        self.note_delegation(&format!("{why:#}"));
        signals::allow_stops()?;
        let only = self.stages.time("delegate", || {
            delegate::hand_over(real, &self.arguments.words)
        })?;
        self.delegated(&only)
    }

    /// Whether the real nerdctl would say the same in its own words, or know better: a script may lead to another daemon or
    /// namespace than we know of.
    fn is_better_said(&self, error: &anyhow::Error, real: &RealNerdctl) -> bool {
        let is_elsewhere = error.is::<Unreachable>() || error.is::<NoSuchContainer>();
        let is_its_own = error.is::<Misconfigured>() || error.is::<InspectFailed>();
        (is_its_own || is_elsewhere && !real.is_go_program())
            && self.refuse_delegation("", true).is_none()
    }

    /// Of a container that `runs`, or may.
    fn refuse_delegation(&self, reason: &str, runs: bool) -> Option<String> {
        let max_pause = self.max_pause.filter(|_| runs);
        self.arguments.refuse_delegation(reason, max_pause)
    }

    fn note_delegation(&mut self, reason: &str) {
        log::debug(&format!("delegated to the real nerdctl: {reason}"));
        self.report.strategy = Some("delegate");
        self.report.reason = Some(reason.to_owned());
    }

    /// Prints what the real nerdctl printed last, and returns its exit code.
    fn delegated(&mut self, last: &Try) -> Result<i32> {
        last.print()?;
        let code = exit_code(last.status);
        self.killed_by = last.status.signal();
        if code == 0 {
            self.report.image = Some(self.arguments.reference.clone());
        } else {
            self.report.error = Some(last.describe());
        }
        Ok(code)
    }

    /// Says what went wrong, if anything, writes the report, and returns the exit code.
    fn conclude(&mut self, outcome: Result<i32>) -> i32 {
        self.report.add_stages(&self.stages);
        let mut code = outcome.unwrap_or_else(|error| {
            let message = format!("{error:#}");
            log::fatal(&message);
            self.report.error = Some(message);
            1
        });
        // After the digest, as both may go to one file.
        if !write_report(&self.report, self.report_path.as_deref()) {
            code = 1;
        }
        code
    }

    /// The digest, where the image is our own; on a terminal the essence of the commit as well.
    fn print_digest(&self) -> Result<()> {
        let Some(digest) = &self.report.config_digest else {
            return Ok(());
        };
        write_all(stdout().as_fd(), format!("{digest}\n").as_bytes())
            .context("write /dev/stdout")?;
        if stderr().is_terminal() {
            let name = printable(self.arguments.container.as_bytes());
            let line = format!("{}\n", self.report.line(&name));
            // The image is there, whether or not the terminal still is.
            let _ = write_all(stderr().as_fd(), line.as_bytes());
        }
        Ok(())
    }
}

fn needed<R>(real: Option<R>, reason: &str) -> Result<R> {
    real.with_context(|| {
        format!(
            "this commit needs the real nerdctl, and there is none in PATH or in FREEZEFRAME_NERDCTL: {reason}"
        )
    })
}

/// As a shell would see it.
pub fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}
