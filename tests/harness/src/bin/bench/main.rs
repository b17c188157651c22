//! What freezeframe saves and what it costs: stock's commit and ours side by side, in one run.
//!
//! Each workload has a containerd and a disk of its own, and a heartbeat inside the container
//! that is committed; the two commits take turns, so that whatever else the machine does hits
//! both. Nothing here fails for being slow. Words choose parts; without any, all run but those
//! that take very long.

mod chart;
mod figures;
mod growth;
mod machine;
mod measure;
mod neighbours;
mod pass_through;
mod picture;
mod scene;
mod shares;
mod table;
mod tools;
mod watch;
mod workload;

use anyhow::bail;
use harness::{FileSystem, Result};
use std::process::ExitCode;
use table::Comparison;
use workload::{WORKLOADS, Workload};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One thing that can be measured by itself.
#[derive(Clone, Copy)]
enum Part {
    PassThrough,
    Workload(&'static Workload, FileSystem),
    Neighbours,
    Growth,
}

impl Part {
    fn all() -> Vec<Self> {
        let on = |file_system| {
            let workloads = WORKLOADS.iter();
            workloads.map(move |workload| Self::Workload(workload, file_system))
        };
        let mut all = vec![Self::PassThrough];
        all.extend(on(FileSystem::Ext4).chain(on(FileSystem::Xfs)));
        all.extend([Self::Neighbours, Self::Growth]);
        all
    }

    fn name(self) -> String {
        match self {
            Self::PassThrough => "pass-through".to_owned(),
            Self::Workload(workload, FileSystem::Ext4) => workload.name.to_owned(),
            Self::Workload(workload, other) => format!("{}-{}", workload.name, other.name()),
            Self::Neighbours => "neighbours".to_owned(),
            Self::Growth => "growth".to_owned(),
        }
    }

    /// A million files once more, on xfs, is left to those who ask for it.
    fn is_default(self) -> bool {
        !matches!(self, Self::Workload(workload, FileSystem::Xfs) if workload.inodes.is_some())
    }
}

fn chosen(words: &[String]) -> Result<Vec<Part>> {
    let all = Part::all();
    if words.is_empty() {
        return Ok(all.into_iter().filter(|part| part.is_default()).collect());
    }
    let names: Vec<_> = all.iter().map(|part| part.name()).collect();
    if let Some(unknown) = words.iter().find(|word| !names.contains(word)) {
        bail!("{unknown} is not one of: {}", names.join(" "));
    }
    let is_named = |part: &Part| words.contains(&part.name());
    Ok(all.into_iter().filter(is_named).collect())
}

fn run(words: &[String]) -> Result {
    let parts = chosen(words)?;
    machine::describe()?;
    let mut comparisons: Vec<Comparison> = Vec::new();
    for part in parts {
        match part {
            Part::PassThrough => pass_through::measure()?,
            Part::Workload(workload, file_system) => {
                comparisons.push(workload.compare(file_system)?);
            }
            Part::Neighbours => neighbours::measure()?,
            Part::Growth => growth::measure(&comparisons)?,
        }
    }
    table::summarize(&comparisons);
    shares::write(&comparisons)
}
