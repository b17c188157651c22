//! The direct commit, from the lock to the record, one call per step. What is made on the way undoes itself on every way
//! out.

use std::time::Duration;

use anyhow::{Error, Result};

use crate::arguments::CommitArguments;
use crate::capture::lower::Lower;
use crate::capture::{Capture, Captured, Tally, unchanged};
use crate::containerd::{Containerd, Lease, OverlayMount, TaskStatus};
use crate::freeze;
use crate::image::{Image, Parts};
use crate::layer::{self, Layer};
use crate::locks::Locks;
use crate::log;
use crate::plan::{DirectPlan, Obstacle, Subject, if_forbidden, if_mounted_over};
use crate::prepared::prepare;
use crate::report::{Report, milliseconds};
use crate::settings::Reserve;
use crate::stages::Stages;
use crate::system::identity::unique_name;
use crate::system::priority::yielding;
use crate::system::signals;

/// A commit that is ours from the first step to the last.
pub struct DirectCommit<'a> {
    pub containerd: &'a Containerd,
    pub subject: &'a Subject,
    pub plan: &'a DirectPlan,
    pub arguments: &'a CommitArguments,
    pub reserve: Reserve,
    /// How long the container may be frozen.
    pub max_pause: Option<Duration>,
}

impl DirectCommit<'_> {
    /// Makes the image; what is known of it goes into `report` as it becomes known.
    pub fn run(&self, stages: &mut Stages, report: &mut Report) -> Result<()> {
        let Self {
            containerd,
            subject,
            plan,
            arguments,
            ..
        } = *self;
        if arguments.pause && subject.task.status == TaskStatus::Running {
            freeze::ensure_outside(containerd, subject)?;
            freeze::check_marks()?;
        }
        let locks = stages.time("lock", || Locks::acquire(subject, plan))?;
        let lease = stages.time("lease", || Lease::acquire(containerd))?;
        signals::allow_stops()?;
        containerd.lease_content(&plan.base.manifest_digest)?;
        let key = format!("freezeframe-{}", unique_name());
        let prepared = stages.time("prepare", || prepare(containerd, subject, plan, &key))?;
        let mut tally = Tally::default();
        let name_in_marks = freeze::name_in_marks(containerd, subject)?;
        let capture = self.capture(&prepared, &name_in_marks);
        let captured = capture.run(stages, &mut tally);
        drop(locks);
        let captured = captured.and_then(|captured| {
            let compare = || yielding(|| leave_unchanged_out(&captured, &prepared));
            stages.time("compare", compare)?;
            Ok(captured)
        });
        if captured.as_ref().is_err_and(Error::is::<Obstacle>) {
            // The real nerdctl freezes and warns, if anybody.
            return captured.map(drop);
        }
        report_freezes(report, &tally);
        log::warnings(&arguments.changes.warnings);
        let captured = captured?;
        report.bytes_cloned = Some(captured.bytes_cloned);
        log::warnings(&captured.warnings);
        let (layer, write_back) = stages.time("layer", || {
            yielding(|| layer::write(containerd, &captured, arguments.compression))
        })?;
        stages.time("sync", || write_back.wait())?;
        let parts = Parts {
            arguments,
            subject,
            plan,
            layer: &layer,
            snapshot_key: &key,
        };
        let image = stages.time("image", || parts.write(containerd))?;
        stages.time("release", || lease.release());
        log::warnings(plan.base.warning(&subject.image).as_slice());
        report.image = Some(arguments.reference.clone());
        report_image(report, &layer, image);
        Ok(())
    }

    fn capture<'c>(&'c self, prepared: &'c OverlayMount, name_in_marks: &'c str) -> Capture<'c> {
        Capture {
            containerd: self.containerd,
            subject: self.subject,
            name_in_marks,
            upper: &self.plan.upper,
            trusts_signatures: self.plan.trusts_signatures,
            prepared,
            pause: self.arguments.pause,
            max_pause: self.max_pause,
            reserve: self.reserve,
        }
    }
}

fn leave_unchanged_out(captured: &Captured, prepared: &OverlayMount) -> Result<()> {
    unchanged::leave_out(&captured.tree, &Lower::open(&prepared.lower)?)
        .map_err(if_forbidden)
        .map_err(if_mounted_over)
}

fn report_freezes(report: &mut Report, tally: &Tally) {
    report.bytes_copied_frozen = Some(tally.bytes_copied_frozen);
    report.bytes_compared_frozen = Some(tally.bytes_compared_frozen);
    report.frozen_ms = Some(milliseconds(tally.frozen));
}

fn report_image(report: &mut Report, layer: &Layer, image: Image) {
    report.config_digest = Some(image.config_digest);
    report.manifest_digest = Some(image.manifest_digest);
    report.chain_id = Some(image.chain_id);
    report.layer_digest = Some(layer.digest.clone());
    report.diff_id = Some(layer.diff_id.clone());
    report.layer_bytes = Some(layer.size);
    report.entries = Some(layer.entries);
}
