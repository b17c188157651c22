//! What was measured, as tables for people.

use crate::figures::{Series, megabytes, percent, seconds, times};
use crate::measure::{Measured, Sample, Samples};
use harness::FileSystem;

pub struct Comparison {
    pub name: &'static str,
    pub title: &'static str,
    pub file_system: FileSystem,
    pub measured: Measured,
}

/// One thing that both sides are measured by.
struct Row {
    what: &'static str,
    value: fn(&Sample) -> f64,
    unit: fn(f64) -> String,
}

const ROWS: &[Row] = &[
    Row {
        what: "frozen, as the heartbeat saw it",
        value: |one| one.frozen,
        unit: seconds,
    },
    Row {
        what: "whole command",
        value: |one| one.wall,
        unit: seconds,
    },
    Row {
        what: "peak memory of the command",
        value: |one| one.memory,
        unit: megabytes,
    },
    Row {
        what: "peak memory of containerd",
        value: |one| one.daemon_memory,
        unit: megabytes,
    },
    Row {
        what: "compressed layer",
        value: |one| one.layer,
        unit: megabytes,
    },
];

impl Comparison {
    pub fn is(&self, name: &str, file_system: FileSystem) -> bool {
        self.name == name && self.file_system == file_system
    }

    pub fn print(&self) {
        let Measured { stock, ours, idle } = &self.measured;
        print_line("", "stock", "freezeframe", "stock / freezeframe");
        for row in ROWS {
            let [stock, ours] = [stock, ours].map(|side| side.series(row.value));
            let ratio = ratio(&stock, &ours);
            print_line(
                row.what,
                &stock.text(row.unit),
                &ours.text(row.unit),
                &ratio,
            );
        }
        let reported = ours.series(|one| milliseconds(&one.report["frozen_ms"]));
        print_line("frozen, as reported", "–", &reported.text(seconds), "");
        println!(
            "  {:<32} {}",
            "longest gap without a commit",
            seconds(*idle)
        );
        for (side, samples) in [("stock", stock), ("freezeframe", ours)] {
            print_failures(side, samples);
        }
        print_stages(ours);
    }
}

fn print_line(what: &str, stock: &str, ours: &str, ratio: &str) {
    println!("  {what:<32} {stock:<32} {ours:<32} {ratio}");
}

/// How many times stock's median is ours.
fn ratio(stock: &Series, ours: &Series) -> String {
    match (stock.median(), ours.median()) {
        (Some(stock), Some(ours)) => times(stock / ours),
        _ => "–".to_owned(),
    }
}

fn milliseconds(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN) / 1e3
}

fn print_failures(side: &str, samples: &Samples) {
    let Some(failure) = samples.failures.first() else {
        return;
    };
    let failed = samples.failures.len();
    let all = failed + samples.succeeded.len();
    println!("  {side} failed {failed} of {all} times: {failure}");
}

/// What share of our own command each stage has; the rest is between and around them.
fn print_stages(ours: &Samples) {
    let Some(whole) = ours.series(|one| one.wall).median() else {
        return;
    };
    let names = ours.succeeded[0].report["stages_ms"].as_object();
    let names = names.into_iter().flat_map(|stages| stages.keys());
    let stages = names.filter_map(|name| Some((name.as_str(), ours.stage(name).median()?)));
    let mut stages: Vec<_> = stages.collect();
    let rest = whole - stages.iter().map(|(_, time)| time).sum::<f64>();
    stages.push(("rest", rest.max(0.0)));
    stages.sort_by(|one, other| other.1.total_cmp(&one.1));
    let words = stages.iter();
    let words =
        words.map(|(name, time)| format!("{name} {} ({})", seconds(*time), percent(time / whole)));
    println!("  stages: {}", words.collect::<Vec<_>>().join(", "));
}

/// All workloads in one table, in Markdown.
pub fn summarize(comparisons: &[Comparison]) {
    if comparisons.is_empty() {
        return;
    }
    println!(
        "\n| work | on | frozen: stock | ours | times | whole command: stock | ours | times | peak memory: stock | ours |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for one in comparisons {
        println!("{}", one.summary());
    }
}

impl Comparison {
    fn summary(&self) -> String {
        let Measured { stock, ours, .. } = &self.measured;
        let mut cells = vec![format!("{}: {}", self.name.to_uppercase(), self.title)];
        cells.push(self.file_system.name().to_owned());
        let both = |value: fn(&Sample) -> f64| [stock, ours].map(|side| side.series(value));
        let cell = |side: &Samples, series: &Series, unit: fn(f64) -> String| match (
            series.median(),
            side.failures.first(),
        ) {
            (Some(median), _) => unit(median),
            (None, Some(_)) => "fails".to_owned(),
            (None, None) => "–".to_owned(),
        };
        for value in [(|one: &Sample| one.frozen) as fn(&Sample) -> f64, |one| {
            one.wall
        }] {
            let [one, other] = both(value);
            cells.extend([cell(stock, &one, seconds), cell(ours, &other, seconds)]);
            cells.push(ratio(&one, &other));
        }
        let [one, other] = both(|one| one.memory + one.daemon_memory);
        cells.extend([cell(stock, &one, megabytes), cell(ours, &other, megabytes)]);
        format!("| {} |", cells.join(" | "))
    }
}
