//! A disk that fills up in the middle of a commit, after it was found large enough.

use super::IMAGE;
use crate::FREEZEFRAME;
use harness::{Leftovers, Options, Result, Signal};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// For containerd's own records, which must still fit.
const LEFT: u64 = 30 << 20;

#[test]
fn a_disk_that_fills_up_under_the_layer_is_an_error_that_leaves_nothing() -> Result {
    let daemon = Options {
        disk_mib: 640,
        ..Options::default()
    }
    .start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    container.output(&["dd", "if=/dev/urandom", "of=/bulk", "bs=1M", "count=120"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let freezeframe = freezeframe.with("FREEZEFRAME_RESERVE", "0");
    let mut committing = freezeframe.start_commit(&container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("layer")?;
    committing.stop()?;
    let filler = fill(&daemon.disk())?;
    committing.signal(Signal::CONT)?;
    let outcome = committing.finish()?.outcome;
    fs::remove_file(filler)?;
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    let said = outcome.error_text();
    assert!(said.contains("blobs/sha256: No space left"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    before.assert_unchanged(&Leftovers::now(&container)?);
    assert_eq!(container.output(&["echo", "alive"])?, "alive");
    freezeframe.commit(&container, IMAGE, &[])?.succeeded()?;
    Ok(())
}

fn fill(disk: &Path) -> Result<PathBuf> {
    let space = statvfs(disk)?;
    let length = (space.f_bfree * space.f_frsize).saturating_sub(LEFT);
    let path = disk.join("filler");
    fallocate(File::create(&path)?, FallocateFlags::empty(), 0, length)?;
    Ok(path)
}
