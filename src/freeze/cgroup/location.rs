//! Which cgroup is the container's: from our mounts, its first process's membership and runc's `cgroupsPath`. Nothing is
//! opened.

use std::path::{Component, Path};

use super::{Cgroup, Version};
use crate::plan::own_part;
use crate::system::mounts::MountEntry;

impl Cgroup {
    /// The one that these mounts and the process's `membership` (cgroups(7)) tell of, whether it exists or not: in version
    /// 1 where its freezer is mounted, as runc uses that one then.
    pub fn locate(
        mounts: &[MountEntry],
        membership: &str,
        id: &str,
        cgroups_path: Option<&str>,
    ) -> Option<Self> {
        let version = [Version::One, Version::Two].into_iter().find(|version| {
            let is_mounted = mounts.iter().any(|mount| is_freezing(mount, *version));
            is_mounted && path_in(membership, *version).is_some()
        })?;
        let path = Path::new(path_in(membership, version)?);
        let own = own_part(path, id, cgroups_path)?;
        let mut shown = mounts
            .iter()
            .filter(|mount| is_freezing(mount, version))
            .filter_map(|mount| Some(mount.mount_point.join(below(own, &mount.root)?)));
        let directory = shown.next()?;
        Some(Self { version, directory })
    }
}

/// The path from a mount of the hierarchy to a cgroup. `None` where that mount does not show it: a part of the hierarchy may
/// be mounted, and what is outside of our cgroup namespace begins with `/..`.
fn below<'a>(cgroup: &'a Path, root: &Path) -> Option<&'a Path> {
    let below = cgroup.strip_prefix(root).ok()?;
    let stays = |part| matches!(part, Component::Normal(_));
    below.components().all(stays).then_some(below)
}

fn is_freezing(mount: &MountEntry, version: Version) -> bool {
    match version {
        Version::One => mount.kind == "cgroup" && mount.has_option("freezer"),
        Version::Two => mount.kind == "cgroup2",
    }
}

/// cgroups(7): lines of `HIERARCHY:CONTROLLERS:PATH`; version 2 has no controllers there.
fn path_in(membership: &str, version: Version) -> Option<&str> {
    membership.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let is_ours = match version {
            Version::One => controllers.split(',').any(|name| name == "freezer"),
            Version::Two => controllers.is_empty(),
        };
        is_ours.then_some(path)
    })
}

#[cfg(test)]
mod recorded;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_of_a_hybrid_hierarchy_is_read() {
        let text = "9:name=systemd:/\n6:cpu,freezer:/default/abc\n0::/unified\n";
        assert_eq!(path_in(text, Version::One), Some("/default/abc"));
        assert_eq!(path_in(text, Version::Two), Some("/unified"));
        assert_eq!(path_in("0::/\n", Version::One), None);
    }
}
