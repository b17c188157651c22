//! What our own command's time goes into, as a picture: a bar for each workload, all of one length.

use crate::figures::{number, seconds};
use crate::measure::Sample;
use crate::picture::Picture;
use crate::table::Comparison;
use harness::Result;
use serde_json::Value;
use std::fmt::Write;

const WIDTH: f64 = 900.0;
/// Where the bars begin, and the room after them.
const LEFT: f64 = 372.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 66.0;
const ROW: f64 = 30.0;
const BAR: f64 = 18.0;
/// From the name of one group to that of the next.
const KEY: f64 = 132.0;
/// Narrower than that, a share has no room for its figure.
const NARROW: f64 = 0.06;

/// What is drawn in one colour: its name, and the stages of a report that belong to it.
const GROUPS: [(&str, &[&str]); 5] = [
    (
        "find and plan",
        &["resolve", "lock", "lease", "plan", "prepare"],
    ),
    ("clone", &["scan", "sync", "copy", "compare", "finish"]),
    ("last copy", &["freeze"]),
    ("layer", &["layer"]),
    ("image", &["image", "release", "fetch"]),
];
const REST: usize = GROUPS.len();

const STYLE: &str = "\
.g0{fill:#8250df}.g1{fill:#0969da}.g2{fill:#cf222e}.g3{fill:#1a7f37}.g4{fill:#bc4c00}.g5{fill:#d1d9e0}\
.in{fill:#fff;font-size:11px}";
const DARK: &str = "\
.g0{fill:#a371f7}.g1{fill:#388bfd}.g2{fill:#f85149}.g3{fill:#2ea043}.g4{fill:#db6d28}.g5{fill:#3d444d}";

pub fn write(comparisons: &[Comparison]) -> Result {
    let bars: Vec<_> = comparisons.iter().filter_map(Bar::of).collect();
    if bars.is_empty() {
        return Ok(());
    }
    let mut content = "<text class=\"title\" x=\"12\" y=\"24\">\
                       where the time of a commit through freezeframe goes</text>\n"
        .to_owned();
    draw_key(&mut content)?;
    let mut top = TOP;
    for bar in &bars {
        bar.draw(&mut content, top)?;
        top += ROW;
    }
    let picture = Picture {
        file: "stages.svg",
        label: "The share of each stage in a commit through freezeframe",
        size: (WIDTH, top + 6.0),
        style: (STYLE, DARK),
    };
    picture.write(&content)
}

fn draw_key(svg: &mut String) -> Result {
    let names = GROUPS.iter().map(|(name, _)| *name).chain(["between"]);
    let mut left = 12.0;
    for (index, name) in names.enumerate() {
        writeln!(
            svg,
            "<rect class=\"g{index}\" x=\"{left}\" y=\"38\" width=\"10\" height=\"10\"/>"
        )?;
        writeln!(svg, "<text x=\"{}\" y=\"47\">{name}</text>", left + 16.0)?;
        left += KEY;
    }
    Ok(())
}

struct Bar {
    title: String,
    /// In seconds.
    whole: f64,
    shares: [f64; REST + 1],
}

impl Sample {
    /// What part of the command these stages took.
    fn share(&self, stages: &[&str]) -> f64 {
        let times = stages.iter().map(|name| &self.report["stages_ms"][name]);
        times.filter_map(Value::as_f64).sum::<f64>() / 1e3 / self.wall
    }
}

impl Bar {
    /// Nothing of a workload that never succeeded.
    fn of(comparison: &Comparison) -> Option<Self> {
        let ours = &comparison.measured.ours;
        let whole = ours.series(|one| one.wall).median()?;
        let count = number(ours.succeeded.len() as u64);
        let mut shares = [0.0; REST + 1];
        for (share, (_, stages)) in shares.iter_mut().zip(GROUPS) {
            let of_all = ours.succeeded.iter();
            *share = of_all.map(|one| one.share(stages)).sum::<f64>() / count;
        }
        shares[REST] = 1.0 - shares.iter().sum::<f64>();
        let name = comparison.name.to_uppercase();
        let on = comparison.file_system.name();
        Some(Self {
            title: format!("{name} on {on}: {}", comparison.title),
            whole,
            shares,
        })
    }

    fn draw(&self, svg: &mut String, top: f64) -> Result {
        let text = top + 13.0;
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>",
            LEFT - 10.0,
            self.title
        )?;
        let length = WIDTH - RIGHT - LEFT;
        let mut left = LEFT;
        for (index, share) in self.shares.iter().enumerate() {
            let (width, percent) = (share * length, share * 100.0);
            writeln!(
                svg,
                "<rect class=\"g{index}\" x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{BAR}\">\
                 <title>{percent:.1} %</title></rect>"
            )?;
            if *share > NARROW && index != REST {
                let middle = left + width / 2.0;
                writeln!(
                    svg,
                    "<text class=\"in\" x=\"{middle:.1}\" y=\"{text}\" text-anchor=\"middle\">{percent:.0} %</text>"
                )?;
            }
            left += width;
        }
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\">{}</text>",
            WIDTH - RIGHT + 8.0,
            seconds(self.whole)
        )?;
        Ok(())
    }
}
