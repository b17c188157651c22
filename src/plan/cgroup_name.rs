//! The name of a container's cgroup.

use std::path::Path;

/// The container's own part of its first process's path, which runc's `cgroupsPath` or its ID tells. By `cgroupsPath` from
/// the top, as whoever makes cgroups inside may give them the same name; else by the ID from the process up, as the name of a
/// namespace may be that of a container. Never the hierarchy's root.
pub fn own_part<'a>(path: &'a Path, id: &str, cgroups_path: Option<&str>) -> Option<&'a Path> {
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
    let own = found.or_else(|| ancestors.iter().find(has_id)).copied();
    own.filter(|own| own.parent().is_some())
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
mod tests {
    use super::*;

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
