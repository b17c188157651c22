//! What others lose while a large commit is made: the committed container itself, whose
//! heartbeat should go on beating, and another one that never rests, with one process and
//! with one for each processor.

use crate::figures::{percent, seconds};
use crate::measure::Side;
use crate::scene::{self, Scene};
use crate::workload::{Base, Change};
use harness::{Heartbeat, Result};
use std::num::NonZero;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

const CHANGE: Change = Change::Files(&[("/small", 8_000, 13_000), ("/big", 4, 75_000_000)]);
const IDLE: Duration = Duration::from_secs(3);

pub fn measure() -> Result {
    println!("\nneighbours: what is lost while 0.4 GB in 8,004 files are committed");
    let daemon = scene::options().start()?;
    let scene = Scene::new(&daemon, &Base::Small)?;
    scene.change(&CHANGE)?;
    let processors = available_parallelism().map_or(1, NonZero::get);
    for spinning in [0, 1, processors] {
        compare(&scene, spinning)?;
    }
    Ok(())
}

/// Both commits beside a container with so many processes that never rest.
fn compare(scene: &Scene, spinning: usize) -> Result {
    let neighbour = scene.daemon.run(&["sleep", "1000000"])?;
    let spin = |index| neighbour.spin(&format!("spin-{index}"));
    let spins = (0..spinning).map(spin).collect::<Result<Vec<_>>>()?;
    let own = std::slice::from_ref(&scene.heartbeat);
    let idle = rates(&[own, &spins], || {
        sleep(IDLE);
        Ok(())
    })?;
    for (side, name) in [(Side::Stock, "stock"), (Side::Ours, "freezeframe")] {
        let mut took = String::new();
        let busy = rates(&[own, &spins], || {
            let ending = scene.commit(side, &[])?;
            took = ending.map_or_else(|failure| failure, |sample| seconds(sample.wall));
            Ok(())
        })?;
        let loss = |of: usize| percent(1.0 - busy[of] / idle[of]);
        let mut line = format!("its own heartbeat {}", loss(0));
        if spinning > 0 {
            line += &format!(", a container of {spinning} busy processes {}", loss(1));
        }
        println!("  {name:<12} {took:<10} {line}");
    }
    neighbour.remove()
}

/// Beats in a second of each group, while `work` is done.
fn rates(groups: &[&[Heartbeat]; 2], work: impl FnOnce() -> Result) -> Result<[f64; 2]> {
    let count = |group: &[Heartbeat]| group.iter().map(Heartbeat::beats).sum::<Result<u64>>();
    let before = [count(groups[0])?, count(groups[1])?];
    let began = Instant::now();
    work()?;
    let took = began.elapsed().as_secs_f64();
    let after = [count(groups[0])?, count(groups[1])?];
    Ok([0, 1].map(|of| crate::figures::number(after[of] - before[of]) / took))
}
