//! Snapshots: the container's own, and the prepared one that becomes the new image's top.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use containerd_client::services::v1::snapshots::{
    CommitSnapshotRequest, Info, MountsRequest, PrepareSnapshotRequest, RemoveSnapshotRequest,
    StatSnapshotRequest, UpdateSnapshotRequest, snapshots_client::SnapshotsClient,
};
use containerd_client::types::Mount;
use prost_types::FieldMask;
use tonic::Code;
use tonic::transport::Channel;

use super::{Containerd, absent_is_none, labels};

/// What an overlay mount is made of, from the options of mount(8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayMount {
    pub upper: PathBuf,
    pub work: PathBuf,
    /// The uppermost first.
    pub lower: Vec<PathBuf>,
    /// All options but the directories.
    pub flags: Vec<String>,
}

impl OverlayMount {
    /// `None` unless this is one writable mount of type exactly `overlay`.
    pub fn of(mounts: &[Mount]) -> Option<Self> {
        let [mount] = mounts else { return None };
        if mount.r#type != "overlay" {
            return None;
        }
        let value = |name: &str| {
            let mut options = mount.options.iter();
            options.find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
        };
        let is_directory = |option: &String| {
            let name = option.split_once('=').map(|(name, _)| name);
            matches!(name, Some("lowerdir" | "upperdir" | "workdir"))
        };
        Some(Self {
            upper: value("upperdir")?.into(),
            work: value("workdir")?.into(),
            lower: value("lowerdir")?.split(':').map(PathBuf::from).collect(),
            flags: mount
                .options
                .iter()
                .filter(|option| !is_directory(option))
                .cloned()
                .collect(),
        })
    }
}

impl Containerd {
    pub fn snapshot_mounts(&self, snapshotter: &str, key: &str) -> Result<Vec<Mount>> {
        let request = self.request(MountsRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
        });
        Ok(self
            .call(self.snapshots().mounts(request))
            .with_context(|| format!("reading the mounts of snapshot {key} of {snapshotter}"))?
            .mounts)
    }

    pub fn snapshot(&self, snapshotter: &str, name: &str) -> Result<Option<Info>> {
        let request = self.request(StatSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: name.to_owned(),
        });
        let answer = self.call(self.snapshots().stat(request));
        Ok(absent_is_none(answer)
            .with_context(|| format!("reading snapshot {name} of {snapshotter}"))?
            .and_then(|response| response.info))
    }

    /// An empty, writable snapshot `key` on top of `parent`, owned by the lease.
    pub fn prepare_snapshot(
        &self,
        snapshotter: &str,
        key: &str,
        parent: &str,
    ) -> Result<Vec<Mount>> {
        let request = self.request(PrepareSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            ..Default::default()
        });
        // Interrupted, containerd makes the directory all the same and, with the lease gone meanwhile, forgets it. The request
        // is not the steady connection's, as that would have no lease.
        Ok(self
            .steady()
            .call(self.snapshots().prepare(request))
            .with_context(|| format!("preparing a snapshot on {parent}"))?
            .mounts)
    }

    /// Commits `key` as `name`. One that exists under that chain ID has the same content: ours is then removed.
    pub fn commit_snapshot(&self, snapshotter: &str, key: &str, name: &str) -> Result<()> {
        // Before it is known to exist: afterwards it could be collected before it is leased.
        self.lease_snapshot(snapshotter, name)?;
        let request = self.request(CommitSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            ..Default::default()
        });
        match self.call(self.snapshots().commit(request)) {
            Err(error) if error.is(Code::AlreadyExists) => self.remove_snapshot(snapshotter, key),
            answer => {
                answer.with_context(|| format!("committing the snapshot {name}"))?;
                Ok(())
            }
        }
    }

    /// Has the content stay as long as the snapshot does, if there is one.
    pub fn keep_beside_snapshot(&self, snapshotter: &str, name: &str, digest: &str) -> Result<()> {
        let label = labels::content(digest);
        let known = self.snapshot(snapshotter, name)?;
        if known.is_none_or(|known| known.labels.contains_key(&label)) {
            return Ok(());
        }
        let request = self.request(UpdateSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            update_mask: Some(FieldMask {
                paths: vec![format!("labels.{label}")],
            }),
            info: Some(Info {
                name: name.to_owned(),
                labels: HashMap::from([(label, digest.to_owned())]),
                ..Default::default()
            }),
        });
        absent_is_none(self.call(self.snapshots().update(request)))
            .with_context(|| format!("labelling the snapshot {name}"))?;
        Ok(())
    }

    fn remove_snapshot(&self, snapshotter: &str, key: &str) -> Result<()> {
        let request = self.request(RemoveSnapshotRequest {
            snapshotter: snapshotter.to_owned(),
            key: key.to_owned(),
        });
        self.call(self.snapshots().remove(request))
            .with_context(|| format!("removing the snapshot {key}"))?;
        Ok(())
    }

    fn snapshots(&self) -> SnapshotsClient<Channel> {
        SnapshotsClient::new(self.channel.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, options: &[&str]) -> Mount {
        Mount {
            r#type: kind.into(),
            options: options.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn only_a_writable_overlay_is_one() {
        let options = ["index=off", "workdir=/w", "upperdir=/u", "lowerdir=/a:/b"];
        let overlay = OverlayMount::of(&[mount("overlay", &options)]).unwrap();
        assert_eq!(overlay.upper, PathBuf::from("/u"));
        assert_eq!(overlay.lower, [PathBuf::from("/a"), PathBuf::from("/b")]);
        assert_eq!(overlay.flags, ["index=off"]);
        let options = [
            "redirect_dir=on",
            "workdir=/w",
            "upperdir=/u",
            "lowerdir=/a",
        ];
        let overlay = OverlayMount::of(&[mount("overlay", &options)]).unwrap();
        assert_eq!(overlay.flags, ["redirect_dir=on"]);
        assert_eq!(OverlayMount::of(&[mount("fuse3.overlay", &options)]), None);
        assert_eq!(
            OverlayMount::of(&[mount("overlay", &["lowerdir=/a:/b"])]),
            None
        );
        assert_eq!(OverlayMount::of(&[]), None);
    }
}
