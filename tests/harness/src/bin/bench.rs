//! What freezeframe costs and what it saves, measured side by side.
//!
//! The pass-through: a trivial program alone, and with our alias in front of it. The
//! commit: stock's and ours of the same busy container. Each pair alternates, so that
//! whatever else the machine does hits both; what is printed are medians. It measures
//! and never fails for being slow.

use anyhow::Context;
use harness::{Container, Daemon, Heartbeat, Result, TempDir, outcome, own_program};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const CALLS: usize = 1000;
const COMMITS: usize = 3;
const REAL: &str = "/bin/true";

fn main() -> Result {
    measure_pass_through()?;
    measure_commits()
}

fn measure_pass_through() -> Result {
    let folder = TempDir::new()?;
    let alias = folder.path().join("nerdctl");
    symlink(own_program("freezeframe")?, &alias)?;
    let mut ours = Command::new(&alias);
    ours.env("FREEZEFRAME_NERDCTL", REAL);
    let mut alone = Command::new(REAL);
    let (mut direct, mut passed_on) = (Vec::new(), Vec::new());
    for _ in 0..CALLS {
        direct.push(time_of(&mut alone)?);
        passed_on.push(time_of(&mut ours)?);
    }
    println!("Pass-through, medians of {CALLS} calls of {REAL}");
    print_pair("alone", median(direct), "through us", median(passed_on));
    Ok(())
}

fn time_of(command: &mut Command) -> Result<Duration> {
    let start = Instant::now();
    let status = command.stdin(Stdio::null()).status()?;
    let taken = start.elapsed();
    anyhow::ensure!(status.success(), "{command:?}: {status}");
    Ok(taken)
}

/// 4000 small files that churn, nine logs that grow, and 40 MB that stay as they are.
fn measure_commits() -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["probe", "append-logs", "/logs", "9"])?;
    container.shell("dd if=/dev/urandom of=/bulk bs=1M count=40 2>&1")?;
    container.spawn(&["probe", "churn", "/work", "4000"])?;
    container.wait_for("/work/15/003999")?;
    let heartbeat = container.heartbeat()?;
    let program = own_program("freezeframe")?;
    let freezeframe = daemon.freezeframe(program.to_str().context("a path that is no text")?)?;
    let nerdctl = daemon.nerdctl()?;
    let (mut stock, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..COMMITS {
        stock.push(commit(nerdctl.command(), &container, &heartbeat)?);
        ours.push(commit(freezeframe.command(), &container, &heartbeat)?);
    }
    println!(
        "\nCommit, medians of {COMMITS}, with {}",
        nerdctl.describe()
    );
    for (what, of) in [("frozen, as its heartbeat saw it", 0), ("whole command", 1)] {
        println!("{what}:");
        let medians = [&stock, &ours].map(|all| median(all.iter().map(|one| one[of]).collect()));
        print_pair("stock", medians[0], "freezeframe", medians[1]);
    }
    println!(
        "{} without a commit",
        milliseconds(heartbeat.idle(Duration::from_secs(2))?)
    );
    Ok(())
}

/// How long the container stood still, and how long the command took.
fn commit(mut command: Command, container: &Container, beat: &Heartbeat) -> Result<[Duration; 2]> {
    command.args(["commit", &container.name, "measured"]);
    let (taken, frozen) = beat.during(|| {
        let start = Instant::now();
        outcome(&mut command)?.succeeded()?;
        Ok(start.elapsed())
    })?;
    Ok([frozen, taken])
}

fn print_pair(name: &str, one: Duration, other_name: &str, other: Duration) {
    let difference = (other.as_secs_f64() - one.as_secs_f64()) * 1e3;
    let ratio = other.as_secs_f64() / one.as_secs_f64();
    let (one, other) = (milliseconds(one), milliseconds(other));
    println!("  {name} {one}, {other_name} {other}: {difference:+.3} ms, {ratio:.4} times");
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}
