//! The plan: made once, before anything is made. Direct, with all that a direct commit needs to know, or delegate,
//! with the reason. What fails after the plan is an error, never another plan, but for what only trying tells
//! (`Obstacle`).

pub mod base;
mod cgroup_name;
pub mod document;
mod obstacle;
mod overlay;
mod resolve;
mod subject;

use std::path::PathBuf;

use anyhow::{Error, Result, bail, ensure};
use serde_json::Value;

pub use base::BaseImage;
pub use cgroup_name::own_part;
pub use obstacle::{Obstacle, if_forbidden, if_mounted_over, is_of_view};
pub use resolve::{InspectFailed, NoSuchContainer};
pub use subject::Subject;

use crate::arguments::{CommitArguments, Property};
use crate::containerd::Containerd;
use crate::settings::Strategy;
use crate::system::identity::is_proc_ours;
use crate::system::{privileges, tree};

/// Shims whose containers share the host's kernel, so that the host sees all they write.
const HOST_KERNEL_RUNTIMES: [&str; 3] = [
    "io.containerd.runc.v2",
    "io.containerd.runc.v1",
    "io.containerd.runtime.v1.linux",
];

pub enum Plan {
    Direct(Box<DirectPlan>),
    Delegate { reason: String },
}

/// All that a direct commit starts from.
pub struct DirectPlan {
    /// The upper directory of the container's overlay.
    pub upper: PathBuf,
    /// Whether equal signatures mean equal content on its file system.
    pub trusts_signatures: bool,
    /// The chain ID of the layers below it.
    pub parent: String,
    pub base: BaseImage,
    /// What `--change` sets, its variables replaced by the base image's.
    pub properties: Vec<Property<String>>,
}

impl Plan {
    pub fn make(
        containerd: &Containerd,
        subject: &Subject,
        arguments: &CommitArguments,
        strategy: Strategy,
    ) -> Result<Self> {
        if strategy == Strategy::Delegate {
            let reason = "FREEZEFRAME_STRATEGY=delegate".to_owned();
            return Ok(Self::Delegate { reason });
        }
        match DirectPlan::make(containerd, subject, arguments) {
            Ok(plan) => Ok(Self::Direct(Box::new(plan))),
            Err(error) => match error.downcast()? {
                obstacle if strategy == Strategy::Direct => {
                    bail!("FREEZEFRAME_STRATEGY=direct does not apply: {obstacle}")
                }
                Obstacle(reason) => Ok(Self::Delegate { reason }),
            },
        }
    }
}

impl DirectPlan {
    /// # Errors
    /// `Obstacle`: there is no such plan.
    fn make(
        containerd: &Containerd,
        subject: &Subject,
        arguments: &CommitArguments,
    ) -> Result<Self> {
        check(subject, arguments)?;
        let (upper, parent) = overlay::upper_directory(containerd, subject)?;
        let trusts_signatures = overlay::is_proven(&upper)?;
        let base = BaseImage::find(containerd, subject, &parent)?;
        let properties = arguments.changes.expand(base.environment());
        Ok(Self {
            upper,
            trusts_signatures,
            parent,
            base,
            properties: properties.map_err(Error::msg)?,
        })
    }
}

/// Looks for what stands in the way, as far as the container's record, the kernel and our privileges tell.
///
/// # Errors
/// `Obstacle`.
fn check(subject: &Subject, arguments: &CommitArguments) -> Result<()> {
    if let Some(flag) = arguments.foreign_layer {
        bail!(Obstacle(format!(
            "{flag} layers are made by the real nerdctl alone"
        )));
    }
    ensure!(
        !subject.snapshotter.is_empty() && !subject.snapshot_key.is_empty(),
        Obstacle("the container has no snapshot, as it was run from a directory".to_owned())
    );
    let runtime = subject.runtime.as_str();
    ensure!(
        HOST_KERNEL_RUNTIMES.contains(&runtime),
        Obstacle(format!(
            "runtime {runtime} may keep files where the host does not see them"
        ))
    );
    let mappings = subject.spec.pointer("/linux/uidMappings");
    let mappings = mappings.and_then(Value::as_array);
    ensure!(
        mappings.is_none_or(Vec::is_empty),
        Obstacle("the container's user IDs are mapped".to_owned())
    );
    ensure!(
        tree::resolves_beneath(),
        Obstacle("the kernel does not resolve paths beneath a directory (openat2)".to_owned())
    );
    ensure!(
        is_proc_ours(),
        Obstacle("/proc is not that of this process's PID namespace".to_owned())
    );
    match privileges::obstacle()? {
        Some(obstacle) => bail!(Obstacle(obstacle)),
        None => Ok(()),
    }
}
