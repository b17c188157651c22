//! The commit: the numbered list of the design, one call per step.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::CommitArguments;
use crate::capture::{Capture, Captured};
use crate::containerd::{Containerd, Lease, OverlayMount};
use crate::freeze::{Cgroup, Freezer};
use crate::image::{Image, Parts};
use crate::layer::{self, Layer};
use crate::locks::Locks;
use crate::passthrough::RealNerdctl;
use crate::plan::{DirectPlan, Plan, Subject};
use crate::report::{self, Report, milliseconds};
use crate::settings::{Settings, Strategy, report_path};
use crate::stages::Stages;
use crate::system::process::{fill_standard_descriptors, unique_name};
use crate::system::signals;
use crate::system::sync::FilesystemSync;
use crate::system::text::printable;
use crate::{delegate, log};

/// Runs a commit to its end and returns the exit code.
pub fn run(arguments: &CommitArguments) -> i32 {
    if arguments.debug {
        log::enable_debug();
    }
    let mut commit = Commit {
        arguments,
        report: Report::default(),
        stages: Stages::default(),
    };
    let outcome = begin().and_then(|()| commit.perform());
    let outcome = match (outcome, signals::check()) {
        // Whatever an interrupted step said, the signal is the reason.
        (Err(_), Err(stopped)) => Err(stopped.into()),
        (outcome, _) => outcome,
    };
    let code = commit.conclude(&outcome);
    match signals::check() {
        Err(stopped) if code != 0 => signals::die_of(stopped),
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
    let _ = write_report(&report, typed_report);
    1
}

/// Writes the report where it was asked for; says what stood in the way, and whether nothing did.
#[must_use]
fn write_report(report: &Report, typed: Option<&Path>) -> bool {
    let written = report_path(typed).map_or(Ok(()), |path| report.write(&path));
    if let Err(error) = &written {
        log::fatal(&format!("{error:#}"));
    }
    written.is_ok()
}

fn begin() -> Result<()> {
    fill_standard_descriptors()?;
    signals::take_over()
}

struct Commit<'a> {
    arguments: &'a CommitArguments,
    report: Report,
    stages: Stages,
}

impl Commit<'_> {
    /// Plans the commit and carries the plan out; returns the exit code of whoever did it.
    fn perform(&mut self) -> Result<i32> {
        let arguments = self.arguments;
        if let Some(path) = report_path(arguments.report.as_deref()) {
            report::check(&path)?;
        }
        let strategy = Strategy::from_environment()?;
        let settings = Settings::of(arguments)?;
        let real = RealNerdctl::find()?;
        let containerd = Containerd::connect(&settings.address, &settings.namespace)?;
        let subject = self.stages.time("resolve", || {
            Subject::resolve(&containerd, real.as_ref(), arguments)
        })?;
        self.report.container_id = Some(subject.id.clone());
        let plan = self.stages.time("plan", || {
            Plan::make(&containerd, &subject, arguments, strategy)
        })?;
        match plan {
            Plan::Direct(plan) => {
                self.report.strategy = Some("direct");
                self.direct(&settings, &containerd, &subject, &plan)?;
                Ok(0)
            }
            Plan::Delegate { reason } => {
                log::debug(&format!("delegated to the real nerdctl: {reason}"));
                self.report.strategy = Some("delegate");
                self.report.reason = Some(reason.clone());
                self.delegate(&containerd, real.as_ref(), &subject, &reason)
            }
        }
    }

    fn direct(
        &mut self,
        settings: &Settings,
        containerd: &Containerd,
        subject: &Subject,
        plan: &DirectPlan,
    ) -> Result<()> {
        log::warnings(&self.arguments.changes.warnings);
        let locks = self.stages.time("lock", || Locks::acquire(subject, plan))?;
        let lease = self.stages.time("lease", || Lease::acquire(containerd))?;
        signals::allow_stops()?;
        containerd.lease_content(&plan.base.manifest_digest)?;
        let key = format!("freezeframe-{}", unique_name());
        let prepared = self
            .stages
            .time("prepare", || prepare(containerd, subject, plan, &key))?;
        let captured = Capture {
            containerd,
            subject,
            upper: &plan.upper,
            prepared: &prepared,
            pause: self.arguments.pause,
            freezer: &|pid| freezer(settings, containerd, subject, pid),
        }
        .run(&mut self.stages)?;
        drop(locks);
        self.report_capture(&captured);
        let written_back = FilesystemSync::start(&captured.tree.root())?;
        let compression = self.arguments.compression;
        let layer = self.stages.time("layer", || {
            layer::write(containerd, &captured.tree, compression)
        })?;
        self.stages.time("sync", || written_back.wait())?;
        let parts = Parts {
            arguments: self.arguments,
            subject,
            plan,
            layer: &layer,
            snapshot_key: &key,
        };
        let image = self.stages.time("image", || parts.write(containerd))?;
        self.stages.time("release", || drop(lease));
        self.report_image(&layer, image);
        Ok(())
    }

    fn delegate(
        &mut self,
        containerd: &Containerd,
        real: Option<&RealNerdctl>,
        subject: &Subject,
        reason: &str,
    ) -> Result<i32> {
        if let Some(refusal) = self.arguments.changes.refuse_delegation(reason) {
            bail!(refusal);
        }
        let Some(real) = real else {
            bail!(
                "this commit needs the real nerdctl, and there is none in PATH or in FREEZEFRAME_NERDCTL: {reason}"
            );
        };
        signals::allow_stops()?;
        let words = &self.arguments.words;
        let status = self.stages.time("delegate", || {
            delegate::run(containerd, real, subject, words)
        })?;
        let code = exit_code(status);
        self.report.image = Some(self.arguments.reference.clone());
        if code != 0 {
            self.report.error = Some(format!("the real nerdctl ended with {status}"));
        }
        Ok(code)
    }

    fn report_capture(&mut self, captured: &Captured) {
        self.report.bytes_cloned = Some(captured.bytes_cloned);
        self.report.bytes_copied_frozen = Some(captured.bytes_copied_frozen);
        self.report.frozen_ms = Some(milliseconds(captured.frozen));
        log::warnings(&captured.warnings);
    }

    fn report_image(&mut self, layer: &Layer, image: Image) {
        let report = &mut self.report;
        report.image = Some(self.arguments.reference.clone());
        report.config_digest = Some(image.config_digest);
        report.manifest_digest = Some(image.manifest_digest);
        report.chain_id = Some(image.chain_id);
        report.layer_digest = Some(layer.digest.clone());
        report.diff_id = Some(layer.diff_id.clone());
        report.layer_bytes = Some(layer.size);
        report.entries = Some(layer.entries);
    }

    /// Prints the outcome, writes the report, and returns the exit code.
    fn conclude(&mut self, outcome: &Result<i32>) -> i32 {
        let mut code = match outcome {
            Ok(code) => *code,
            Err(error) => {
                let message = format!("{error:#}");
                log::fatal(&message);
                self.report.error = Some(message);
                1
            }
        };
        self.report.result = if code == 0 { "ok" } else { "error" };
        self.report.add_stages(&self.stages);
        if outcome.is_ok() {
            self.print_digest();
        }
        // After the digest, as both may go to one file.
        if !write_report(&self.report, self.arguments.report.as_deref()) {
            code = 1;
        }
        code
    }

    /// The digest, where the image is our own; on a terminal the essence of the commit as well.
    fn print_digest(&self) {
        let Some(digest) = &self.report.config_digest else {
            return;
        };
        // A reader that has gone has seen enough; the image exists all the same.
        let _ = writeln!(std::io::stdout(), "{digest}");
        if std::io::stderr().is_terminal() {
            let name = printable(self.arguments.container.as_bytes());
            eprintln!("{}", self.report.line(&name));
        }
    }
}

/// An empty upper directory on the container's own layers, which becomes the clone.
fn prepare(
    containerd: &Containerd,
    subject: &Subject,
    plan: &DirectPlan,
    key: &str,
) -> Result<OverlayMount> {
    let mounts = containerd.prepare_snapshot(&subject.snapshotter, key, &plan.parent)?;
    let overlay = OverlayMount::of(&mounts)
        .context("the snapshotter does not mount a new snapshot as an overlay")?;
    let is_empty = std::fs::read_dir(&overlay.upper)
        .with_context(|| {
            format!(
                "opening the new upper directory {}",
                overlay.upper.display()
            )
        })?
        .next()
        .is_none();
    ensure!(
        is_empty && overlay.upper != plan.upper,
        "the new snapshot's upper directory {} is not empty",
        overlay.upper.display()
    );
    Ok(overlay)
}

/// What freezes the container whose first process is `pid`.
fn freezer(
    settings: &Settings,
    containerd: &Containerd,
    subject: &Subject,
    pid: u32,
) -> Result<Freezer> {
    let cgroup = Cgroup::of_container(pid, &subject.id, subject.cgroups_path())?;
    Ok(match cgroup {
        Some(cgroup) => Freezer::Cgroup(cgroup),
        None => Freezer::Task {
            containerd: containerd.clone(),
            address: settings.address.clone().into(),
            namespace: settings.namespace.clone(),
            container: subject.id.clone(),
        },
    })
}

/// As a shell would see it.
fn exit_code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}
