//! What the figures were measured on, for whoever compares them.

use crate::scene;
use harness::{Result, outcome, own_program};
use rustix::fs::{major, minor, stat};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::available_parallelism;

pub fn describe() -> Result {
    let daemon = scene::options().start()?;
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
        "disks:   loop-mounted files below {}, {} direct I/O",
        std::env::temp_dir().display(),
        if has_direct_io(&daemon.disk())? {
            "with"
        } else {
            "without"
        }
    );
    println!("figures: the median (the least … the most)");
    Ok(())
}

/// What the loop device below a directory does (kernel: Documentation/ABI/testing/sysfs-block-loop).
fn has_direct_io(directory: &Path) -> Result<bool> {
    let device = stat(directory)?.st_dev;
    let (major, minor) = (major(device), minor(device));
    let answer = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/loop/dio"))?;
    Ok(answer.trim() == "1")
}

/// The first value of a `name: value` line.
fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
