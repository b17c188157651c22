//! Whatever is no commit reaches the real nerdctl as it was typed.

use crate::FREEZEFRAME;
use harness::{Daemon, Result};

#[test]
fn the_version_is_nerdctls() -> Result {
    let daemon = Daemon::start()?;
    let real = daemon.nerdctl()?.run(&["--version"])?;
    let through_us = daemon
        .freezeframe(FREEZEFRAME)?
        .outcome(&["--version"])?
        .succeeded()?;
    assert_eq!(through_us.text(), real.text());
    Ok(())
}
