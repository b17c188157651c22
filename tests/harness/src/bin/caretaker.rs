//! Waits until whoever started it closes the pipe or dies, then cleans up a daemon.
//!
//! In a session of its own, so that neither Ctrl-C nor a closed terminal reaches it.

use std::io::Read;
use std::path::PathBuf;

fn main() -> harness::Result {
    let folder: PathBuf = std::env::args_os().nth(1).unwrap_or_default().into();
    // Fails only for the leader of a process group, which is as safe as a session.
    let _ = rustix::process::setsid();
    std::io::stdin().read_to_end(&mut Vec::new())?;
    harness::clean(&folder)
}
