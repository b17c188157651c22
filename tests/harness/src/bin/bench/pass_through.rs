//! What passing a command on costs: a trivial program alone, and with our alias in front of it.

use crate::figures::{Series, seconds};
use harness::{Result, TempDir, own_program};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Instant;

const CALLS: usize = 1000;
const REAL: &str = "/bin/true";

pub fn measure() -> Result {
    let folder = TempDir::new()?;
    let alias = folder.path().join("nerdctl");
    symlink(own_program("freezeframe")?, &alias)?;
    let mut ours = Command::new(&alias);
    ours.env("FREEZEFRAME_NERDCTL", REAL);
    let mut alone = Command::new(REAL);
    let (mut direct, mut passed_on) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        direct.push(time(&mut alone)?);
        passed_on.push(time(&mut ours)?);
    }
    let (direct, passed_on) = (Series::of(direct), Series::of(passed_on));
    println!("\npass-through: {CALLS} calls of {REAL}");
    println!(
        "  alone                            {}",
        direct.text(seconds)
    );
    println!(
        "  through freezeframe              {}",
        passed_on.text(seconds)
    );
    if let (Some(direct), Some(passed_on)) = (direct.median(), passed_on.median()) {
        println!(
            "  the difference of the medians    {}",
            seconds(passed_on - direct)
        );
    }
    Ok(())
}

fn time(command: &mut Command) -> Result<f64> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status()?;
    let taken = start.elapsed();
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(taken.as_secs_f64())
}
