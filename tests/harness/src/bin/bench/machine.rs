//! What the figures were measured on, for whoever compares them.

use harness::{Daemon, Result, outcome, own_program};
use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

pub fn describe() -> Result {
    let daemon = Daemon::start()?;
    let processor = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "?".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    println!("stock:   {}", daemon.nerdctl()?.describe());
    let version = outcome(Command::new(own_program("freezeframe")?).arg("--version"))?;
    println!("ours:    {}", version.succeeded()?.text());
    println!(
        "machine: {} cores of {processor}, {memory}, Linux {}",
        available_parallelism()?,
        kernel.trim()
    );
    let load = fs::read_to_string("/proc/loadavg")?;
    let load: Vec<_> = load.split(' ').take(3).collect();
    println!("load:    {} before the first measurement", load.join(" "));
    println!(
        "disks:   loop-mounted files below {}, with direct I/O where they can",
        std::env::temp_dir().display()
    );
    println!("figures: the median (the least … the most)");
    Ok(())
}

/// The first value of a `name: value` line.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
