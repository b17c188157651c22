//! A law that files keep at every instant, so that a tree shows whether it is of one.
//!
//! Each writer changes its files in a fixed order, for ever. Whoever copies them one
//! after the other, while they change, gets a tree that breaks the law; whoever has
//! them as they all were at one moment gets one that keeps it. `check` reads such a
//! tree anywhere: in a paused container, or out of an image on the host.

mod counters;
mod lines;
mod renamed;

use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Exists once every writer has its files in place.
const READY: &str = "ready";

/// Between two rounds of a fast writer: the others, the heartbeat and the commit want a turn.
const BREATH: Duration = Duration::from_millis(1);
/// Between two steps of a slow writer, most of whose files hold still over a freeze.
const STEP: Duration = Duration::from_millis(2);

pub fn write(directory: &Path) -> io::Result<()> {
    let at = |name: &str| directory.join(name);
    fs::create_dir_all(directory)?;
    let writers = [
        counters::written(&at("written"), Duration::ZERO)?,
        counters::written(&at("written-slowly"), STEP)?,
        counters::mapped(&at("mapped"), Duration::ZERO)?,
        counters::mapped(&at("mapped-slowly"), STEP)?,
        counters::direct(&at("direct"), STEP)?,
        renamed::writer(&at("renamed"))?,
        lines::logs_writer(&at("logs"))?,
        lines::rotated_writer(&at("rotated"))?,
    ];
    let threads: Vec<_> = writers.into_iter().map(thread::spawn).collect();
    fs::write(at(READY), "")?;
    threads.into_iter().try_for_each(|one| {
        one.join()
            .map_err(|_| io::Error::other("a writer panicked"))?
    })
}

/// The first violation found, or nothing.
pub fn check(directory: &Path) -> io::Result<()> {
    let at = |name: &str| directory.join(name);
    if !at(READY).exists() {
        return Err(violation(directory, "the writers were not ready"));
    }
    counters::check(&at("written"))?;
    counters::check(&at("written-slowly"))?;
    counters::check(&at("mapped"))?;
    counters::check(&at("mapped-slowly"))?;
    counters::check(&at("direct"))?;
    renamed::check(&at("renamed"))?;
    lines::check_logs(&at("logs"))?;
    lines::check_rotated(&at("rotated"))
}

/// A writer, its files in place: runs until an error stops it.
type Writer = Box<dyn FnOnce() -> io::Result<()> + Send>;

fn violation(path: &Path, what: &str) -> io::Error {
    io::Error::other(format!("the law is broken in {}: {what}", path.display()))
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path).map_err(|error| violation(path, &error.to_string()))
}
