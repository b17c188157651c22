//! The workloads: what a container has changed, on which base image, when it is committed.

use crate::measure::Rounds;
use crate::scene::Scene;
use crate::table::Comparison;
use crate::tools::Tool;
use harness::{FileSystem, Result};

pub struct Workload {
    pub name: &'static str,
    pub title: &'static str,
    pub base: Base,
    pub change: Change,
    pub flags: &'static [&'static str],
    pub rounds: Rounds,
    /// What the same bytes are given to, to compare with.
    pub tools: &'static [Tool],
    pub disk_mib: u64,
    pub inodes: Option<u64>,
}

pub enum Base {
    /// busybox and the probe.
    Small,
    Wide {
        files: u64,
        length: u64,
    },
}

pub enum Change {
    OneFile,
    /// Directories, each with a number of files of a length.
    Files(&'static [(&'static str, u64, u64)]),
    /// Logs that grow while they are read.
    Logs {
        count: u64,
    },
    /// A file whose first and last block keep changing.
    Big {
        mib: u64,
    },
}

const A_GIGABYTE: Change = Change::Files(&[("/small", 20_000, 13_000), ("/big", 8, 105_000_000)]);
const SHORT: Rounds = Rounds { stock: 7, ours: 7 };
const LONG: Rounds = Rounds { stock: 1, ours: 3 };

const PLAIN: Workload = Workload {
    name: "",
    title: "",
    base: Base::Small,
    change: Change::OneFile,
    flags: &[],
    rounds: SHORT,
    tools: &[],
    disk_mib: 12 << 10,
    inodes: None,
};

pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "w1",
        title: "one file of 6 bytes, small base",
        ..PLAIN
    },
    Workload {
        name: "w2",
        title: "the same, base of 1 GB in 70,000 files",
        base: Base::Wide {
            files: 70_000,
            length: 14_300,
        },
        rounds: Rounds { stock: 3, ours: 7 },
        ..PLAIN
    },
    Workload {
        name: "w3",
        title: "1.1 GB in 20,008 files, gzip",
        change: A_GIGABYTE,
        rounds: LONG,
        tools: &[Tool::Copy, Tool::Pigz],
        ..PLAIN
    },
    Workload {
        name: "w3-zstd",
        title: "1.1 GB in 20,008 files, zstd",
        change: A_GIGABYTE,
        flags: &["--compression", "zstd"],
        rounds: LONG,
        tools: &[Tool::Zstd],
        ..PLAIN
    },
    Workload {
        name: "w4",
        title: "nine growing logs, --pause=false",
        change: Change::Logs { count: 9 },
        flags: &["--pause=false"],
        rounds: Rounds { stock: 3, ours: 3 },
        ..PLAIN
    },
    Workload {
        name: "w5",
        title: "1 GB file, first and last block keep changing",
        change: Change::Big { mib: 954 },
        rounds: LONG,
        ..PLAIN
    },
    Workload {
        name: "w6",
        title: "a million files of 100 bytes",
        change: Change::Files(&[("/many", 1_000_000, 100)]),
        rounds: Rounds { stock: 1, ours: 2 },
        disk_mib: 40 << 10,
        inodes: Some(6_000_000),
        ..PLAIN
    },
];

impl Workload {
    pub fn compare(&self, file_system: FileSystem) -> Result<Comparison> {
        println!("\n{} on {}: {}", self.name, file_system.name(), self.title);
        let daemon = self.start_daemon(file_system)?;
        let scene = Scene::new(&daemon, &self.base)?;
        scene.change(&self.change)?;
        let measured = scene.measure(self.flags, self.rounds)?;
        let comparison = Comparison {
            name: self.name,
            title: self.title,
            file_system,
            measured,
        };
        comparison.print();
        for tool in self.tools {
            tool.compare(&scene, &comparison.measured.ours)?;
        }
        Ok(comparison)
    }
}
