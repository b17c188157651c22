//! How long each stage took, and a line at its beginning for who asked with `--debug`.

use std::time::{Duration, Instant};

use crate::log;

#[derive(Default)]
pub struct Stages {
    /// In the order in which they first began.
    pub times: Vec<(&'static str, Duration)>,
}

impl Stages {
    /// Runs a stage and adds its time, whether it succeeds or not.
    pub fn time<T>(&mut self, name: &'static str, stage: impl FnOnce() -> T) -> T {
        log::debug(&format!("stage {name}"));
        let began = Instant::now();
        let outcome = stage();
        let elapsed = began.elapsed();
        match self.times.iter_mut().find(|(known, _)| *known == name) {
            Some((_, time)) => *time += elapsed,
            None => self.times.push((name, elapsed)),
        }
        outcome
    }
}
