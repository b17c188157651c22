//! The disk fills up at every stage of a commit: no room for the clone, for the layer in the
//! content store, nor for what containerd writes down.
//!
//! Not on btrfs: containerd 1.6 leaves the folder of an ingest there that it could not begin.

use super::{BOUND, STAGES, Ship};
use crate::FREEZEFRAME;
use harness::{FileSystem, Filler, Leftovers, Options, Result, Signal};

#[test]
fn a_disk_that_is_full_from_any_stage_on_is_said_and_nothing_is_left() -> Result {
    full_from_every_stage_on(FileSystem::Ext4)
}

#[test]
#[ignore = "the same as on ext4: tests/long"]
fn an_xfs_that_is_full_from_any_stage_on_is_said_and_nothing_is_left() -> Result {
    full_from_every_stage_on(FileSystem::Xfs)
}

fn full_from_every_stage_on(file_system: FileSystem) -> Result {
    let daemon = Options {
        file_system,
        disk_mib: 640,
        ..Options::default()
    }
    .start()?;
    let mut ship = Ship::new(&daemon, STAGES[0])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&ship.container)?;
    let mut failures = 0;
    for stage in STAGES {
        ship.stage = stage;
        let committing = ship.start_and_stop(&freezeframe)?;
        let filler = Filler::new(&daemon.disk(), 0)?;
        committing.signal(Signal::CONT)?;
        let commit = committing.finish_within(BOUND)?;
        ship.expect_running()?;
        drop(filler);
        ship.expect_success_or(&commit, &["space"])?;
        failures += usize::from(!commit.outcome.status.success());
        freezeframe
            .commit(&ship.container, &ship.image, &[])?
            .succeeded()?;
        daemon.ctr().run(&["images", "rm", "--sync", &ship.image])?;
        before.assert_unchanged(&Leftovers::now(&ship.container)?);
    }
    // From the scan to the layer there is no way round it.
    assert!(failures >= 5, "only {failures} commits felt it");
    Ok(())
}
