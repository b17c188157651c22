//! Which cgroup is the container's: from our mounts, its first process's membership and runc's `cgroupsPath`. Nothing is
//! opened.

use std::path::{Component, Path};

use super::{Cgroup, Version};
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
        let own = own_part(path, id, cgroups_path).filter(|own| own.parent().is_some())?;
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

/// The container's own part of its first process's path. By `cgroupsPath` from the top, as whoever makes cgroups inside
/// may give them the same name; else by the ID from the process up, as the name of a namespace may be that of a container.
fn own_part<'a>(path: &'a Path, id: &str, cgroups_path: Option<&str>) -> Option<&'a Path> {
    let ancestors: Vec<&Path> = path.ancestors().collect();
    let expected = cgroups_path.filter(|path| !path.trim_matches('/').is_empty());
    let expected = expected.map(path_below_hierarchy);
    let is_expected = |ancestor: &&&Path| {
        expected
            .as_deref()
            .is_some_and(|expected| ancestor.ends_with(expected))
    };
    let scope = format!("-{id}.scope");
    let has_id = |ancestor: &&&Path| {
        let name = ancestor.file_name().unwrap_or_default().to_string_lossy();
        name == id || name.ends_with(&scope)
    };
    let found = ancestors.iter().rev().find(is_expected);
    found.or_else(|| ancestors.iter().find(has_id)).copied()
}

/// What runc's `cgroupsPath` says of a path's end; `SLICE:PREFIX:NAME` is systemd's form.
fn path_below_hierarchy(cgroups_path: &str) -> String {
    let parts: Vec<&str> = cgroups_path.split(':').collect();
    match parts[..] {
        // runc makes a slice where the name asks for one.
        [_, _, name] if Path::new(name).extension() == Some("slice".as_ref()) => name.to_owned(),
        [_, "", name] => format!("{name}.scope"),
        [_, prefix, name] => format!("{prefix}-{name}.scope"),
        _ => cgroups_path.trim_start_matches('/').to_owned(),
    }
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

    #[test]
    fn a_scope_has_the_name_that_systemd_gives_it() {
        let path = path_below_hierarchy;
        assert_eq!(path("/default/abc"), "default/abc");
        assert_eq!(path("system.slice:nerdctl:abc"), "nerdctl-abc.scope");
        assert_eq!(
            path("kubepods.slice:cri-containerd:abc"),
            "cri-containerd-abc.scope"
        );
    }

    #[test]
    fn a_containers_cgroup_is_told_from_those_above_and_below() {
        let own = |path: &'static str, expected| own_part(Path::new(path), "abc", expected);
        let path = Some("/abc/abc");
        assert_eq!(own("/abc/abc", path), Some(Path::new("/abc/abc")));
        assert_eq!(own("/abc/abc/abc", path), Some(Path::new("/abc/abc")));
        assert_eq!(own("/x/abc/abc/init", path), Some(Path::new("/x/abc/abc")));
        let scope = Some("a.slice:nerdctl:abc");
        let systemd = "/a.slice/nerdctl-abc.scope";
        assert_eq!(
            own("/a.slice/nerdctl-abc.scope/nerdctl-abc.scope", scope),
            Some(Path::new(systemd))
        );
        assert_eq!(own("/abc/abc/init", None), Some(Path::new("/abc/abc")));
        assert_eq!(own("/elsewhere", path), None);
    }
}
