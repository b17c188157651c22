//! freezeframe itself, on a real containerd with real containers.
//!
//! One program for all, so that it is linked once. Each test has a daemon of its own
//! and leaves nothing behind. They need root: tests/run sees to that.

mod arguments;
mod at_once;
mod bases;
mod care;
mod cgroup2;
mod changes;
mod changing;
mod delegation;
mod errors;
mod freezes;
mod hostile;
mod kinds;
mod left_behind;
mod long_run;
mod max_pause;
mod pass_through;
mod point_in_time;
mod power_cut;
mod regressions;
mod report;
mod same_tree;
mod scripted;
mod signals;
mod states;
mod strategy;
mod table;
mod task_pause;
mod torture;
mod unpaused;
mod uses;

use harness::{Result, outcome};
use std::path::Path;
use std::process::Command;

/// The tested binary.
const FREEZEFRAME: &str = env!("CARGO_BIN_EXE_freezeframe");

/// Copies our program, in a process of its own: what another test starts meanwhile would hold it open for writing.
fn copy_program(to: &Path) -> Result {
    outcome(Command::new("cp").arg(FREEZEFRAME).arg(to))?.succeeded()?;
    Ok(())
}
