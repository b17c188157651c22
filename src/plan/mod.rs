//! The plan: made once, before anything is made. Direct, with all that a direct commit needs to know, or delegate,
//! with the reason. What fails after the plan is an error, never another plan, but for what only trying tells
//! (`OutOfReach`, `capture::overlay_attributes::MergedOnly`).

pub mod base;
mod cgroup_name;
pub mod document;
mod out_of_reach;
mod overlay;
mod resolve;
mod subject;

use std::path::PathBuf;

use anyhow::{Error, Result, bail};
use serde_json::Value;

pub use base::BaseImage;
pub use cgroup_name::own_part;
pub use out_of_reach::{OutOfReach, is_of_view};
pub use resolve::{InspectFailed, NoSuchContainer};
pub use subject::Subject;

use crate::arguments::{CommitArguments, Property};
use crate::containerd::Containerd;
use crate::settings::Strategy;
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
        let obstacle = match obstacle(subject, arguments)? {
            Some(obstacle) => obstacle,
            None => match overlay::upper_directory(containerd, subject)? {
                Ok((upper, parent)) => {
                    let trusts_signatures = overlay::is_proven(&upper)?;
                    let base = BaseImage::find(containerd, subject, &parent)?;
                    let properties = arguments.changes.expand(base.environment());
                    return Ok(Self::Direct(Box::new(DirectPlan {
                        upper,
                        trusts_signatures,
                        parent,
                        base,
                        properties: properties.map_err(Error::msg)?,
                    })));
                }
                Err(obstacle) => obstacle,
            },
        };
        if strategy == Strategy::Direct {
            bail!("FREEZEFRAME_STRATEGY=direct does not apply: {obstacle}");
        }
        Ok(Self::Delegate { reason: obstacle })
    }
}

/// What stands in the way of a direct commit, as far as the container's record, the kernel and our privileges tell.
fn obstacle(subject: &Subject, arguments: &CommitArguments) -> Result<Option<String>> {
    if let Some(flag) = arguments.foreign_layer {
        return Ok(Some(format!(
            "{flag} layers are made by the real nerdctl alone"
        )));
    }
    if subject.snapshotter.is_empty() || subject.snapshot_key.is_empty() {
        return Ok(Some(
            "the container has no snapshot, as it was run from a directory".to_owned(),
        ));
    }
    if !HOST_KERNEL_RUNTIMES.contains(&subject.runtime.as_str()) {
        return Ok(Some(format!(
            "runtime {} may keep files where the host does not see them",
            subject.runtime
        )));
    }
    let mappings = subject
        .spec
        .pointer("/linux/uidMappings")
        .and_then(Value::as_array);
    if mappings.is_some_and(|mappings| !mappings.is_empty()) {
        return Ok(Some("the container's user IDs are mapped".to_owned()));
    }
    if !tree::resolves_beneath() {
        return Ok(Some(
            "the kernel does not resolve paths beneath a directory (openat2)".to_owned(),
        ));
    }
    privileges::obstacle()
}
