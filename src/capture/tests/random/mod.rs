//! Random changes between the stages, and while they go on.
//!
//! What a seed makes is the same every time (but for races in the second test); a failure prints it, and
//! `SOUNDNESS_SEED` runs that one alone.

mod operations;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Disk, FileSystem};

use super::PROVEN;
use super::place::{NOBODY, Place, disk};
use operations::{Random, change};

/// Seeds for each file system.
const ORDINARY: u64 = 40;
const LONG: u64 = 1000;
/// Where inodes have whole seconds, a run waits for one: beyond these, no more are begun after so long.
const LEAST: u64 = 20;
const MOST_TIME: Duration = Duration::from_secs(240);
const PROGRESS: u64 = 100;
const PAUSE: Duration = Duration::from_micros(50);

#[test]
fn random_changes_between_the_stages_are_in_the_clone() {
    run_all(0..ORDINARY, between_the_stages);
}

#[test]
fn random_changes_while_scanning_and_copying_are_in_the_clone() {
    run_all(0..ORDINARY / 2, during_the_stages);
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn thousands_of_random_changes_between_the_stages_are_in_the_clone() {
    run_all(ORDINARY..LONG, between_the_stages);
}

#[test]
#[ignore = "takes minutes: tests/long"]
fn thousands_of_random_changes_while_scanning_and_copying_are_in_the_clone() {
    run_all(ORDINARY..LONG, during_the_stages);
}

fn run_all(seeds: std::ops::Range<u64>, test: fn(&Place, Random)) {
    let asked = std::env::var("SOUNDNESS_SEED").ok();
    let asked = asked.map(|seed| seed.parse().unwrap());
    let seeds = asked.map_or(seeds, |seed: u64| seed..seed + 1);
    std::thread::scope(|scope| {
        for file_system in PROVEN {
            let seeds = seeds.clone();
            scope.spawn(move || run_on(file_system, seeds, test));
        }
    });
}

fn run_on(file_system: FileSystem, seeds: std::ops::Range<u64>, test: fn(&Place, Random)) {
    let disk: Disk = disk(file_system);
    let began = Instant::now();
    let mut runs = 0;
    for seed in seeds {
        let place = Place::on(&disk);
        let run = || test(&place, Random::new(seed));
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            eprintln!("SOUNDNESS_SEED={seed} on {file_system:?}");
            resume_unwind(panic);
        }
        runs += 1;
        if runs % PROGRESS == 0 {
            eprintln!("{runs} runs on {file_system:?} in {:?}", began.elapsed());
        }
        if runs >= LEAST && began.elapsed() > MOST_TIME {
            eprintln!("enough: {runs} runs on {file_system:?}");
            break;
        }
    }
}

fn between_the_stages(place: &Place, mut random: Random) {
    let at = place.source();
    change(&at, &mut random, 60);
    if random.below(2) == 0 {
        place.let_all_grow_old();
    }
    let source = place.tree();
    let mut clone = place.begin(&source, &[]);
    if random.below(2) == 0 {
        clone.put_write_back_off(0, 0);
    }
    change(&at, &mut random, 8);
    clone.copy_scanned(NOBODY).unwrap();
    for _ in 0..random.below(3) {
        change(&at, &mut random, 8);
        clone.pass(NOBODY).unwrap();
    }
    change(&at, &mut random, 8);
    place.finish(clone);
}

fn during_the_stages(place: &Place, mut random: Random) {
    let at = place.source();
    change(&at, &mut random, 60);
    let is_over = AtomicBool::new(false);
    let source = place.tree();
    let clone = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                change(&at, &mut random, 1);
                std::thread::sleep(PAUSE);
            }
        });
        let _over = SetOnDrop(&is_over);
        let mut clone = place.begin_copied(&source);
        clone.pass(NOBODY).unwrap();
        clone
    });
    place.finish(clone);
}

/// Ends the changes, should the stages panic.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
