//! One commit measured, by stock or by us, and rounds of both.

use crate::figures::{Series, number};
use crate::scene::Scene;
use crate::watch::{self, Watched};
use anyhow::Context;
use harness::Result;
use serde_json::Value;
use std::fs;
use std::process::Command;
use std::time::Duration;

/// The image that every commit makes.
pub const IMAGE: &str = "docker.io/library/measured:latest";
/// What takes longer is ended, and said to take longer.
const LIMIT: Duration = Duration::from_secs(400);
const IDLE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Stock,
    Ours,
}

/// How often each side is measured; they take turns until one has had all of its own.
#[derive(Clone, Copy)]
pub struct Rounds {
    pub stock: usize,
    pub ours: usize,
}

/// A commit that succeeded: times in seconds, sizes in bytes.
pub struct Sample {
    pub wall: f64,
    /// The longest gap of the heartbeat inside.
    pub frozen: f64,
    pub memory: f64,
    pub daemon_memory: f64,
    /// The compressed layer.
    pub layer: f64,
    /// What freezeframe says itself; null of stock.
    pub report: Value,
}

/// All commits of one side.
#[derive(Default)]
pub struct Samples {
    pub succeeded: Vec<Sample>,
    /// How those that did not succeed ended.
    pub failures: Vec<String>,
}

pub struct Measured {
    pub stock: Samples,
    pub ours: Samples,
    /// The longest gap of the heartbeat while nobody commits.
    pub idle: f64,
}

impl Samples {
    pub fn series(&self, value: impl Fn(&Sample) -> f64) -> Series {
        Series::of(self.succeeded.iter().map(value))
    }

    pub fn frozen(&self) -> Option<f64> {
        self.series(|one| one.frozen).median()
    }

    /// A stage's time in seconds; nothing of stages that did not take place.
    pub fn stage(&self, name: &str) -> Series {
        let times = self.succeeded.iter();
        Series::of(times.filter_map(|one| Some(one.report["stages_ms"][name].as_f64()? / 1e3)))
    }

    fn add(&mut self, ending: Ending) {
        match ending {
            Ok(sample) => self.succeeded.push(sample),
            Err(failure) => self.failures.push(failure),
        }
    }
}

/// A commit, or in what way it failed.
type Ending = std::result::Result<Sample, String>;

impl Scene<'_> {
    pub fn measure(&self, flags: &[&str], rounds: Rounds) -> Result<Measured> {
        let (mut stock, mut ours) = (Samples::default(), Samples::default());
        let idle = self.heartbeat.idle(IDLE)?.as_secs_f64();
        for round in 0..rounds.stock.max(rounds.ours) {
            if round < rounds.stock {
                stock.add(self.commit(Side::Stock, flags)?);
            }
            if round < rounds.ours {
                ours.add(self.commit(Side::Ours, flags)?);
            }
        }
        Ok(Measured { stock, ours, idle })
    }

    /// One commit, after which the daemon is as it was before.
    pub fn commit(&self, side: Side, flags: &[&str]) -> Result<Ending> {
        self.settle()?;
        let report = self.daemon.run_folder().join("report.json");
        let mut command = self.command(side)?;
        command.env("FREEZEFRAME_REPORT", &report);
        command
            .arg("commit")
            .args(flags)
            .args([&self.container.name, IMAGE]);
        let (watched, frozen) = self.heartbeat.during(|| watch::run(&mut command, LIMIT))?;
        let report = fs::read(&report).map_or(Value::Null, |bytes| {
            serde_json::from_slice(&bytes).unwrap_or_default()
        });
        let ending = self.ending(watched, frozen, report)?;
        self.clean_up(&ending)?;
        Ok(ending)
    }

    fn command(&self, side: Side) -> Result<Command> {
        let nerdctl = self.daemon.nerdctl()?;
        if side == Side::Stock {
            return Ok(nerdctl.command());
        }
        let mut command = Command::new(self.freezeframe.alias());
        self.daemon.lead(&mut command);
        command.env("FREEZEFRAME_NERDCTL", &nerdctl.program);
        Ok(command)
    }

    fn ending(&self, watched: Watched, frozen: Duration, report: Value) -> Result<Ending> {
        if watched.took_too_long {
            return Ok(Err(format!("not done after {} s", LIMIT.as_secs())));
        }
        if !watched.outcome.status.success() {
            return Ok(Err(last_words(&watched.outcome.error_text())));
        }
        Ok(Ok(Sample {
            wall: watched.wall.as_secs_f64(),
            frozen: frozen.as_secs_f64(),
            memory: number(watched.peak),
            daemon_memory: number(watch::peak_memory(self.daemon.process_id())),
            layer: self.layer_size()?,
            report,
        }))
    }

    fn layer_size(&self) -> Result<f64> {
        Ok(self.layer()?["size"].as_f64().unwrap_or(f64::NAN))
    }

    /// The descriptor of the layer that the last commit made.
    pub fn layer(&self) -> Result<Value> {
        let manifest = self.daemon.ctr().manifest(IMAGE)?;
        let layers = manifest["layers"]
            .as_array()
            .and_then(|layers| layers.last());
        layers.cloned().context("an image without layers")
    }

    /// Removes the image with all that only it has. Who was killed may have left the container paused.
    fn clean_up(&self, ending: &Ending) -> Result {
        if ending.is_err() {
            // It is not paused, or the image does not exist: both are fine.
            let _ = self.container.unpause();
            let _ = self
                .daemon
                .ctr()
                .outcome(&["images", "rm", "--sync", IMAGE]);
            return Ok(());
        }
        self.daemon
            .ctr()
            .run(&["images", "rm", "--sync", IMAGE])
            .map(drop)
    }
}

/// What an error's last line says last, without all that it happened in.
fn last_words(text: &str) -> String {
    let line = text.lines().last().unwrap_or_default();
    let message = line.split_once("msg=").map_or(line, |(_, message)| message);
    let parts: Vec<_> = message.trim_matches('"').split(": ").collect();
    parts[parts.len().saturating_sub(2)..].join(": ")
}
