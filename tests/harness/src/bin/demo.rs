//! The main job, shown: a container that never stops writing, committed both ways.
//!
//! Every frozen time is the longest gap that a heartbeat inside the container saw, and
//! stands beside the longest gap that it saw while nobody committed anything.

use anyhow::{Context, bail};
use harness::{
    BASE, Container, Daemon, FileSystem, Heartbeat, Options, Result, own_program, printed,
};
use std::process::Command;
use std::time::{Duration, Instant};

const LOGS: &str = "9";
const SMALL_FILES: &str = "4000";
const TRIES: u32 = 20;

fn main() -> Result {
    let file_system = FileSystem::Ext4;
    let daemon = Options {
        file_system,
        ..Options::default()
    }
    .start()?;
    let container = busy_container(&daemon)?;
    println!(
        "A container on {} appends to {LOGS} logs",
        file_system.name()
    );
    println!("and keeps changing {SMALL_FILES} small files.");
    let heartbeat = container.heartbeat()?;
    show_stock_failing(&daemon, &container)?;
    let stock = show_stock_freezing(&daemon, &container, &heartbeat)?;
    let ours = show_freezeframe(&daemon, &container, &heartbeat)?;
    println!(
        "\nStock froze the container {:.0} times as long.",
        stock.times(&ours)
    );
    Ok(())
}

/// How long a commit took, and the container's longest gap meanwhile.
struct Measured {
    took: Duration,
    frozen: Duration,
}

impl Measured {
    fn of(heartbeat: &Heartbeat, commit: &mut Command) -> Result<Self> {
        let start = Instant::now();
        let (outcome, frozen) = heartbeat.during(|| harness::outcome(commit))?;
        outcome.succeeded()?;
        Ok(Self {
            took: start.elapsed(),
            frozen,
        })
    }

    fn print(&self, heartbeat: &Heartbeat) -> Result {
        let idle = heartbeat.idle(self.took)?;
        println!("   done in {}", seconds(self.took));
        println!(
            "   longest gap of the heartbeat: {}",
            milliseconds(self.frozen)
        );
        println!("   without a commit, over as long: {}", milliseconds(idle));
        Ok(())
    }

    fn times(&self, other: &Self) -> f64 {
        self.frozen.as_secs_f64() / other.frozen.as_secs_f64()
    }
}

fn busy_container(daemon: &Daemon) -> Result<Container<'_>> {
    let container = Container::run(daemon, BASE, &["probe", "append-logs", "/logs", LOGS])?;
    container.spawn(&["probe", "churn", "/work", SMALL_FILES])?;
    container.wait_for("/logs/8.log")?;
    container.wait_for("/work/15/003999")?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(container)
}

fn show_stock_failing(daemon: &Daemon, container: &Container) -> Result {
    println!("\n1. Stock, not freezing: nerdctl commit --pause=false");
    for tried in 1..=TRIES {
        let words = ["commit", "--pause=false", &container.name, "stock-unpaused"];
        let error = daemon.nerdctl()?.outcome(&words)?.error_text();
        println!("   try {tried}: {}", essence(&error));
        if error.contains("write too long") {
            return Ok(());
        }
    }
    bail!("stock did not fail with `write too long` in {TRIES} tries")
}

/// The end of a chain of errors; the beginning is paths of the daemon.
fn essence(error: &str) -> &str {
    let cause = error
        .lines()
        .last()
        .unwrap_or_default()
        .trim_end_matches('"');
    match cause.rfind("archive/tar:") {
        Some(start) => &cause[start..],
        None if cause.is_empty() => "went through",
        None => cause.rsplit(": ").next().unwrap_or(cause),
    }
}

fn show_stock_freezing(
    daemon: &Daemon,
    container: &Container,
    heartbeat: &Heartbeat,
) -> Result<Measured> {
    println!("\n2. Stock, freezing: nerdctl commit");
    let mut commit = daemon.nerdctl()?.command();
    commit.args(["commit", &container.name, "stock"]);
    let measured = Measured::of(heartbeat, &mut commit)?;
    measured.print(heartbeat)?;
    Ok(measured)
}

fn show_freezeframe(
    daemon: &Daemon,
    container: &Container,
    heartbeat: &Heartbeat,
) -> Result<Measured> {
    println!("\n3. The same command, with freezeframe in the place of nerdctl");
    let program = own_program("freezeframe")?;
    let freezeframe = daemon.freezeframe(program.to_str().context("a path that is no text")?)?;
    let mut commit = freezeframe.command();
    commit.args(["commit", &container.name, "frozen"]);
    let measured = Measured::of(heartbeat, &mut commit)?;
    measured.print(heartbeat)?;
    show_image_running(&freezeframe)?;
    Ok(measured)
}

/// Through the alias too: everything but a commit is passed on.
fn show_image_running(freezeframe: &harness::Freezeframe) -> Result {
    let line = "echo \"$(ls /logs | wc -l) logs, $(find /work -type f | wc -l) small files;\" \
                \"0.log ends: $(tail -n 1 /logs/0.log)\"";
    let run = ["run", "--rm", "--net", "none", "frozen", "sh", "-c", line];
    let printed = printed(|| freezeframe.outcome(&run))?;
    println!("   the image runs: {printed}");
    Ok(())
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}
