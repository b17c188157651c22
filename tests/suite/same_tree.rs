//! Our images are the ones that containerd's own differ would make.
//!
//! A container does everything to its tree that a tree can have done to it; then it is
//! committed by us, by stock and by the oracle from the same state. The images agree entry by
//! entry: mounted as the snapshots that the commits made, and unpacked afresh from the
//! layers in another namespace. So an image of ours is the same here and pulled.

mod around;
mod changes;
mod entries;
mod formats;
mod ground;
mod names;
mod overlay;
mod random;
mod readers;
mod scene;
mod unchanged;

use crate::FREEZEFRAME;
use harness::{Container, Daemon, FileSystem, Result, Tree, View, commit_by_oracle};

const OURS: &str = "docker.io/library/ours:latest";
const OURS_PAUSED: &str = "docker.io/library/ours-paused:latest";
/// By the real nerdctl where there is one.
const STOCK: &str = "docker.io/library/stock:latest";
const ORACLE: &str = "docker.io/library/oracle:latest";

#[test]
fn an_image_is_what_the_differ_makes_on_ext4() -> Result {
    is_what_the_differ_makes_on(FileSystem::Ext4)
}

#[test]
fn an_image_is_what_the_differ_makes_on_xfs() -> Result {
    is_what_the_differ_makes_on(FileSystem::Xfs)
}

#[test]
fn an_image_is_what_the_differ_makes_on_btrfs() -> Result {
    is_what_the_differ_makes_on(FileSystem::Btrfs)
}

fn is_what_the_differ_makes_on(file_system: FileSystem) -> Result {
    let daemon = Daemon::start_on(file_system)?;
    let container = ground::container(&daemon)?;
    changes::make_all(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let running = freezeframe.commit(&container, OURS, &[])?.succeeded()?;
    assert_eq!(running.report["strategy"], "direct");
    container.pause()?;
    let flags = ["--format=oci", "--compression=zstd"];
    freezeframe
        .commit(&container, OURS_PAUSED, &flags)?
        .succeeded()?;
    let stock = ["commit", &container.name, STOCK];
    daemon.nerdctl()?.run(&stock)?;
    commit_by_oracle(&container, ORACLE)?;
    assert_all_agree(&daemon, &[OURS, OURS_PAUSED, STOCK])
}

/// Changes between the first scan and the freeze go through a later pass or the delta,
/// over a clone that is already there: the hardest way to the same tree.
#[test]
fn an_image_of_a_tree_turned_over_before_the_freeze_is_what_the_differ_makes() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    changes::make_all(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe
        .commit_while(&container, OURS, &[], "copy", || {
            changes::turn_over(&container)
        })?
        .succeeded()?;
    container.pause()?;
    commit_by_oracle(&container, ORACLE)?;
    assert_all_agree(&daemon, &[OURS])
}

/// The snapshot and the unpacked layers of each image against the oracle's.
fn assert_all_agree(daemon: &Daemon, references: &[&str]) -> Result {
    let oracle = View::snapshot(daemon, ORACLE)?.tree()?;
    assert_holds_what_was_made(&oracle);
    let unpacked = View::unpacked(daemon, ORACLE)?.tree()?;
    oracle.assert_same(&unpacked, "the oracle's snapshot and its layers");
    for reference in references {
        let snapshot = View::snapshot(daemon, reference)?.tree()?;
        snapshot.assert_same(&oracle, &format!("{reference}'s snapshot and the oracle"));
        let unpacked = View::unpacked(daemon, reference)?.tree()?;
        unpacked.assert_same(&oracle, &format!("{reference}'s layers and the oracle"));
    }
    Ok(())
}

/// Two empty trees agree as well: what the comparison is about must be there.
fn assert_holds_what_was_made(tree: &Tree) {
    let made = tree.entries.keys().filter(|path| {
        path.to_string_lossy().starts_with("tree/made/") || path.to_string_lossy() == "tree/turned"
    });
    assert!(made.count() > 100, "the oracle saw too little: {tree:?}");
}

#[test]
fn a_container_that_changed_nothing_gives_its_base_image() -> Result {
    let daemon = Daemon::start()?;
    let container = Container::run(&daemon, harness::BASE, &["sleep", "1000"])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, OURS, &[])?.succeeded()?;
    container.pause()?;
    commit_by_oracle(&container, ORACLE)?;
    let ours = View::snapshot(&daemon, OURS)?.tree()?;
    ours.assert_same(&View::snapshot(&daemon, ORACLE)?.tree()?, "the oracle");
    ours.assert_same(&View::unpacked(&daemon, OURS)?.tree()?, "our own layers");
    Ok(())
}
