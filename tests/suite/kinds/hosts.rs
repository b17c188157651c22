//! Containers that share namespaces with their host are frozen as others are, and their
//! images are of one moment.

use super::{IMAGE, commit};
use harness::{BASE, Container, Daemon, Result, View, check_law};
use std::fs;

fn is_the_hosts(container: &Container, namespace: &str) -> Result<bool> {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{namespace}"));
    Ok(of(&container.pid()?.to_string())? == of("self")?)
}

fn an_image_is_of_one_moment(container: &Container, namespaces: &[&str]) -> Result {
    let daemon = container.daemon();
    container.wait_for("/law/ready")?;
    for name in namespaces {
        assert!(is_the_hosts(container, name)?, "{name}");
    }
    let frozen = commit(container)?.frozen_ms();
    assert!(frozen > 0.0, "{frozen}");
    check_law(daemon, &View::snapshot(daemon, IMAGE)?.path().join("law"))?;
    assert!(!container.freezer()?.is_frozen());
    assert_eq!(container.status()?.as_deref(), Some("running"));
    Ok(())
}

const LAW: [&str; 3] = ["probe", "write-law", "/law"];

#[test]
fn a_container_that_sees_the_hosts_processes_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run_with(&daemon, BASE, &["--pid", "host"], &LAW)?;
    an_image_is_of_one_moment(&container, &["pid"])
}

#[test]
fn a_container_on_the_hosts_network_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run_with(&daemon, BASE, &["--net", "host"], &LAW)?;
    an_image_is_of_one_moment(&container, &["net"])
}

/// By ctr: nerdctl sets a name for a host whose names it shares, which runc refuses.
#[test]
fn a_container_with_every_namespace_of_its_host_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let names = ["pid", "ipc", "uts"];
    let own = names.map(|name| format!("{name}:/proc/{}/ns/{name}", std::process::id()));
    let mut flags = vec!["--net-host"];
    for namespace in &own {
        flags.extend(["--with-ns", namespace]);
    }
    let container = Container::run_by_ctr(&daemon, BASE, &flags, &LAW)?;
    an_image_is_of_one_moment(&container, &["pid", "ipc", "uts", "net"])
}

#[test]
fn a_privileged_container_is_committed() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run_with(&daemon, BASE, &["--privileged"], &LAW)?;
    an_image_is_of_one_moment(&container, &[])
}
