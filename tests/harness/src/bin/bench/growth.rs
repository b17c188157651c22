//! How both commits grow: with the entries that have changed, their bytes, the base image, and the processes.
//!
//! The frozen times become a chart as well, whose last point is W6 where that was measured.

use crate::chart::{self, Line, Panel};
use crate::figures::{number, seconds};
use crate::measure::{Measured, Rounds, Sample, Samples};
use crate::scene::{self, Scene, make_files};
use crate::table::Comparison;
use crate::workload::Base;
use harness::{Daemon, FileSystem, Options, Result};

const ENTRIES: [u64; 4] = [100, 1_000, 10_000, 100_000];
const MEGABYTES: [u64; 4] = [1, 10, 100, 1_000];
const FILES_IN_BASE: [u64; 3] = [700, 7_000, 70_000];
const PROCESSES: [u64; 3] = [10, 100, 1_000];
const DESCRIPTORS_EACH: u64 = 64;
const FILES_OF_BYTES: u64 = 8;
const LENGTH_OF_MANY: u64 = 100;
const LENGTH_IN_BASE: u64 = 14_300;
const MEGABYTE: u64 = 1_000_000;
const FEW: Rounds = Rounds { stock: 2, ours: 3 };
/// Where one of stock's takes most of a minute.
const ONE: Rounds = Rounds { stock: 1, ours: 3 };

/// What was measured at one size.
struct Point {
    size: f64,
    measured: Measured,
}

pub fn measure(comparisons: &[Comparison]) -> Result {
    println!("\ngrowth: medians, of stock and of freezeframe");
    let entries = with_entries()?;
    print("entries", &entries);
    let bytes = with_bytes()?;
    print("MB", &bytes);
    print("files in the base image", &with_base()?);
    print("processes", &with_processes()?);
    let million = comparisons.iter();
    let million = million.filter(|one| one.is("w6", FileSystem::Ext4));
    let more = million.map(|one| (1e6, &one.measured));
    let frozen = |points: &[Point], more: &[(f64, &Measured)], of: fn(&Measured) -> &Samples| {
        let known = points.iter().map(|point| (point.size, &point.measured));
        let all = known.chain(more.iter().copied());
        let medians = all.filter_map(|(size, one)| Some((size, of(one).frozen()?)));
        medians.collect::<Vec<_>>()
    };
    let more: Vec<_> = more.collect();
    let lines = |points: &[Point], more: &[(f64, &Measured)]| {
        [
            Line::stock(frozen(points, more, |one| &one.stock)),
            Line::ours(frozen(points, more, |one| &one.ours)),
        ]
    };
    chart::write(&[
        Panel {
            title: "frozen, by entries changed",
            unit: "",
            lines: lines(&entries, &more),
        },
        Panel {
            title: "frozen, by bytes changed",
            unit: " MB",
            lines: lines(&bytes, &[]),
        },
    ])
}

/// One container to which ever more small files are added.
fn with_entries() -> Result<Vec<Point>> {
    let daemon = roomy()?;
    let scene = Scene::new(&daemon, &Base::Small)?;
    let mut before = 0;
    let mut points = Vec::new();
    for entries in ENTRIES {
        let directory = format!("/many/{entries}");
        make_files(
            &scene.container,
            &directory,
            entries - before,
            LENGTH_OF_MANY,
        )?;
        before = entries;
        points.push(point(&scene, entries, FEW)?);
    }
    Ok(points)
}

/// Eight files each time, and larger ones.
fn with_bytes() -> Result<Vec<Point>> {
    let daemon = roomy()?;
    let scene = Scene::new(&daemon, &Base::Small)?;
    let mut points = Vec::new();
    for megabytes in MEGABYTES {
        scene.container.shell("rm -rf /big")?;
        let length = megabytes * MEGABYTE / FILES_OF_BYTES;
        make_files(&scene.container, "/big", FILES_OF_BYTES, length)?;
        let rounds = if megabytes < MEGABYTES[3] { FEW } else { ONE };
        points.push(point(&scene, megabytes, rounds)?);
    }
    Ok(points)
}

/// One small file each time, on larger base images.
fn with_base() -> Result<Vec<Point>> {
    let mut points = Vec::new();
    for files in FILES_IN_BASE {
        let daemon = roomy()?;
        let base = Base::Wide {
            files,
            length: LENGTH_IN_BASE,
        };
        let scene = Scene::new(&daemon, &base)?;
        scene.container.shell("echo hello > /file")?;
        points.push(point(&scene, files, FEW)?);
    }
    Ok(points)
}

/// One small file, and ever more processes that do nothing.
fn with_processes() -> Result<Vec<Point>> {
    let daemon = roomy()?;
    let scene = Scene::new(&daemon, &Base::Small)?;
    scene.container.shell("echo hello > /file")?;
    let mut before = 0;
    let mut points = Vec::new();
    for processes in PROCESSES {
        scene.gather(processes - before, DESCRIPTORS_EACH)?;
        before = processes;
        points.push(point(&scene, processes, FEW)?);
    }
    Ok(points)
}

fn roomy() -> Result<Daemon> {
    let options = Options {
        disk_mib: 12 << 10,
        inodes: Some(2_000_000),
        ..scene::options()
    };
    options.start()
}

fn point(scene: &Scene, size: u64, rounds: Rounds) -> Result<Point> {
    scene.settle()?;
    Ok(Point {
        size: number(size),
        measured: scene.measure(&[], rounds)?,
    })
}

fn print(what: &str, points: &[Point]) {
    println!("  {what:<24} {:>24} {:>24}", "frozen", "whole command");
    for Point { size, measured } in points {
        let both = |value: fn(&Sample) -> f64| {
            let sides = [&measured.stock, &measured.ours];
            let medians = sides.map(|side| side.series(value).median());
            medians
                .map(|median| median.map_or("–".to_owned(), seconds))
                .join(" / ")
        };
        let (frozen, wall) = (both(|one| one.frozen), both(|one| one.wall));
        println!("  {size:<24} {frozen:>24} {wall:>24}");
    }
}
