//! The report: what a commit did, as one JSON object for programs and one line for people.

pub mod destination;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Map, Value};

pub use destination::check;

use crate::stages::Stages;

/// The fields in their documented order; what is not known, or did not come to be, is null.
#[derive(Default, Serialize)]
pub struct Report {
    pub error: Option<String>,
    pub strategy: Option<&'static str>,
    pub reason: Option<String>,
    pub container_id: Option<String>,
    pub image: Option<String>,
    pub config_digest: Option<String>,
    pub manifest_digest: Option<String>,
    pub layer_digest: Option<String>,
    pub diff_id: Option<String>,
    pub chain_id: Option<String>,
    pub entries: Option<u64>,
    pub bytes_cloned: Option<u64>,
    pub bytes_copied_frozen: Option<u64>,
    pub bytes_compared_frozen: Option<u64>,
    pub frozen_ms: Option<f64>,
    stages_ms: Map<String, Value>,
    pub layer_bytes: Option<u64>,
}

/// As it is written.
#[derive(Serialize)]
struct Whole<'a> {
    version: u32,
    result: &'static str,
    #[serde(flatten)]
    report: &'a Report,
}

impl Report {
    /// Takes the stages' times over, in milliseconds.
    pub fn add_stages(&mut self, stages: &Stages) {
        for (name, time) in &stages.times {
            self.stages_ms
                .insert((*name).to_owned(), milliseconds(*time).into());
        }
    }

    /// Puts the report at `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        let whole = Whole {
            version: 1,
            result: if self.error.is_none() { "ok" } else { "error" },
            report: self,
        };
        let mut text = serde_json::to_vec(&whole).context("making the report")?;
        text.push(b'\n');
        destination::write(path, &text)
            .with_context(|| format!("writing the report {}", path.display()))
    }

    /// The essence of a direct commit.
    pub fn line(&self, name: &str) -> String {
        let image = self.image.as_deref().unwrap_or("?");
        let entries = self.entries.unwrap_or(0);
        let [cloned, frozen, layer] = [
            self.bytes_cloned,
            self.bytes_copied_frozen,
            self.layer_bytes,
        ]
        .map(Option::unwrap_or_default);
        let (copied, layer) = (readable(cloned + frozen), readable(layer));
        let rest = format!("layer {layer}");
        match self.frozen_ms.filter(|time| *time > 0.0) {
            Some(time) => format!(
                "committed {name} to {image}: frozen {time:.1} ms; {entries} entries, {copied} copied ({} of it frozen), {rest}",
                readable(frozen)
            ),
            None => format!(
                "committed {name} to {image}: not frozen; {entries} entries, {copied} copied, {rest}"
            ),
        }
    }
}

/// To the microsecond.
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// For display: beyond 2^53 bytes the last digits do not matter.
#[allow(clippy::cast_precision_loss)]
fn readable(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_whether_there_was_a_freeze() {
        let mut report = Report {
            image: Some("image".into()),
            entries: Some(3),
            bytes_cloned: Some(2_500),
            layer_bytes: Some(1_200_000),
            ..Report::default()
        };
        let line = report.line("box");
        let expected = "committed box to image: not frozen; 3 entries, 2.5 kB copied, layer 1.2 MB";
        assert_eq!(line, expected);
        report.frozen_ms = Some(milliseconds(Duration::from_nanos(3_026_400)));
        report.bytes_copied_frozen = Some(500);
        assert_eq!(report.frozen_ms, Some(3.026));
        let line = report.line("box");
        let expected = "committed box to image: frozen 3.0 ms; 3 entries, 3.0 kB copied (500 B of it frozen), layer 1.2 MB";
        assert_eq!(line, expected);
    }
}
