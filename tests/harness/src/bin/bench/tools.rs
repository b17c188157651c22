//! How close we come to tools that do one thing: `cp -a` for the clone, pigz and zstd for the layer.
//!
//! They get the same bytes, as warm, and write to the same disk.

use crate::figures::{Series, megabytes, number, seconds, times};
use crate::measure::Samples;
use crate::scene::Scene;
use anyhow::Context;
use harness::{Result, outcome};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

const RUNS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    Copy,
    Pigz,
    Zstd,
}

impl Tool {
    fn words(self) -> &'static [&'static str] {
        match self {
            Self::Copy => &["cp", "-a"],
            Self::Pigz => &["pigz", "-c"],
            Self::Zstd => &["zstd", "-q", "-T0", "-c"],
        }
    }

    /// The stage of ours that does the same.
    fn stage(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Pigz | Self::Zstd => "layer",
        }
    }

    /// Prints its time beside ours.
    pub fn compare(self, scene: &Scene, ours: &Samples) -> Result {
        let place = Place::new(scene)?;
        if self != Self::Copy {
            let mut tar = Command::new("tar");
            tar.arg("-C")
                .arg(&place.upper)
                .arg("-cf")
                .arg(&place.archive);
            outcome(tar.arg("."))?.succeeded()?;
        }
        let mut runs = Vec::new();
        for _ in 0..RUNS {
            place.remove_made()?;
            scene.settle()?;
            runs.push(self.time(&place)?);
        }
        self.print(&Series::of(runs), ours, &place)
    }

    fn time(self, place: &Place) -> Result<f64> {
        let words = self.words();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]);
        if self == Self::Copy {
            command.arg(&place.upper).arg(&place.made);
        } else {
            command.stdin(File::open(&place.archive)?);
            command.stdout(File::create(&place.made)?);
        }
        let began = Instant::now();
        let status = command.status();
        let status = status.with_context(|| format!("running {command:?}"))?;
        anyhow::ensure!(status.success(), "{command:?}: {status}");
        Ok(began.elapsed().as_secs_f64())
    }

    fn print(self, runs: &Series, ours: &Samples, place: &Place) -> Result {
        let stage = ours.stage(self.stage());
        let ratio = match (stage.median(), runs.median()) {
            (Some(stage), Some(tool)) => times(stage / tool),
            _ => "–".to_owned(),
        };
        let mut size = String::new();
        if self != Self::Copy {
            let made = number(fs::metadata(&place.made)?.len());
            size = format!(", which makes {}", megabytes(made));
        }
        println!(
            "  our stage {}: {}, {ratio} the {} of {}{size}",
            self.stage(),
            stage.text(seconds),
            runs.text(seconds),
            self.words().join(" "),
        );
        Ok(())
    }
}

/// The tools' input and output on the daemon's disk, the latter gone with the disk.
struct Place {
    upper: PathBuf,
    archive: PathBuf,
    made: PathBuf,
}

impl Place {
    fn new(scene: &Scene) -> Result<Self> {
        let disk = scene.daemon.disk();
        Ok(Self {
            upper: scene.container.upper()?,
            archive: disk.join("layer.tar"),
            made: disk.join("made"),
        })
    }

    fn remove_made(&self) -> Result {
        match &self.made {
            made if made.is_dir() => fs::remove_dir_all(made)?,
            made if made.exists() => fs::remove_file(made)?,
            _ => {}
        }
        Ok(())
    }
}
