//! Indexes of several platforms, there or not, with the same layers or with others.

use super::{IMAGE, MINE, assert_runs, changed, commit_quietly, mine};
use crate::FREEZEFRAME;
use harness::image::{Blob, Index, MANIFEST, architecture};
use harness::{Container, Daemon, Result, View};
use std::fs;

/// One that this machine is not.
fn foreign() -> &'static str {
    match architecture() {
        "arm64" => "amd64",
        _ => "arm64",
    }
}

#[test]
fn platforms_whose_content_is_absent_do_not_matter() -> Result {
    let daemon = Daemon::start()?;
    let absent = Blob::new(MANIFEST, b"never pulled".to_vec());
    Index::default()
        .without(foreign(), &absent)
        .with(architecture(), mine("mine").archive(MINE)?)?
        .without("s390x", &absent)
        .import(daemon.ctr(), MINE, false)?;
    commit_quietly(&changed(&daemon)?)?;
    assert_eq!(daemon.ctr().config(IMAGE)?["architecture"], architecture());
    assert_runs(&daemon)
}

#[test]
fn the_snapshot_decides_which_platform_is_the_base() -> Result {
    let daemon = Daemon::start()?;
    let other = mine("of another platform").architecture(foreign());
    Index::default()
        .with(architecture(), mine("mine").archive(MINE)?)?
        .with(foreign(), other.archive(MINE)?)?
        .import(daemon.ctr(), MINE, true)?;
    let platform = format!("linux/{}", foreign());
    let flags = ["--platform", &platform];
    let container = Container::run_by_ctr(&daemon, MINE, &flags, &["sleep", "1000"])?;
    fs::write(container.root()?.join("srv/plain"), "changed\n")?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    assert_eq!(daemon.ctr().config(IMAGE)?["architecture"], foreign());
    let image = View::snapshot(&daemon, IMAGE)?;
    assert_eq!(image.read("/srv/mine")?, "of another platform\n");
    assert_eq!(image.read("/srv/plain")?, "changed\n");
    Ok(())
}

#[test]
fn of_platforms_with_the_same_layers_the_containers_own_is_the_base() -> Result {
    let daemon = Daemon::start()?;
    let other = mine("mine").architecture(foreign());
    let index = |first, second| -> Result<Index> {
        let archive = |name| mine("mine").architecture(name).archive(MINE);
        Index::default()
            .with(first, archive(first)?)?
            .with(second, archive(second)?)
    };
    assert_eq!(other.tars()?, mine("mine").tars()?);
    for order in [[foreign(), architecture()], [architecture(), foreign()]] {
        index(order[0], order[1])?.import(daemon.ctr(), MINE, true)?;
        commit_quietly(&changed(&daemon)?)?;
        assert_eq!(daemon.ctr().config(IMAGE)?["architecture"], architecture());
    }
    assert_runs(&daemon)
}
