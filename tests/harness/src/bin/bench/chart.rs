//! The frozen times as a picture: panels side by side, both axes logarithmic.

use crate::figures::seconds;
use crate::picture::Picture;
use harness::Result;
use std::fmt::Write;

/// What one panel takes, and the room around its plot.
const PANEL: (f64, f64) = (430.0, 350.0);
const LEFT: f64 = 62.0;
const RIGHT: f64 = 26.0;
const TOP: f64 = 76.0;
const BOTTOM: f64 = 44.0;
/// From the name of one line to that of the next.
const KEY: f64 = 120.0;

const STYLE: &str = "\
.grid{stroke:#d1d9e0;stroke-width:1}\
polyline{fill:none;stroke-width:2.5;stroke-linejoin:round;stroke-linecap:round}\
.stock{stroke:#bc4c00}.ours{stroke:#0969da}\
circle.stock,text.stock{fill:#bc4c00;stroke:none}circle.ours,text.ours{fill:#0969da;stroke:none}\
text.stock,text.ours{font-weight:600}";
const DARK: &str = "\
.grid{stroke:#3d444d}.stock{stroke:#f0883e}.ours{stroke:#58a6ff}\
circle.stock,text.stock{fill:#f0883e}circle.ours,text.ours{fill:#58a6ff}";

pub struct Panel {
    pub title: &'static str,
    pub unit: &'static str,
    pub lines: [Line; 2],
}

pub struct Line {
    class: &'static str,
    name: &'static str,
    /// Sizes, and seconds.
    points: Vec<(f64, f64)>,
}

impl Line {
    pub fn stock(points: Vec<(f64, f64)>) -> Self {
        Self {
            class: "stock",
            name: "stock nerdctl",
            points,
        }
    }

    pub fn ours(points: Vec<(f64, f64)>) -> Self {
        Self {
            class: "ours",
            name: "freezeframe",
            points,
        }
    }
}

pub fn write(panels: &[Panel]) -> Result {
    let mut content = String::new();
    let mut left = 0.0;
    for panel in panels {
        writeln!(content, "<g transform=\"translate({left} 0)\">")?;
        panel.draw(&mut content)?;
        content.push_str("</g>\n");
        left += PANEL.0;
    }
    let picture = Picture {
        file: "frozen.svg",
        label: "How long a commit freezes the container",
        size: (left, PANEL.1),
        style: (STYLE, DARK),
    };
    picture.write(&content)
}

impl Panel {
    fn draw(&self, svg: &mut String) -> Result {
        let (across, up) = self.axes();
        writeln!(
            svg,
            "<text class=\"title\" x=\"{LEFT}\" y=\"24\">{}</text>",
            self.title
        )?;
        for (line, left) in self.lines.iter().zip([LEFT, LEFT + KEY]) {
            line.draw_key(svg, left)?;
        }
        let (right, bottom) = (PANEL.0 - RIGHT, PANEL.1 - BOTTOM);
        for decade in up.decades() {
            let y = up.place(decade);
            writeln!(svg, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>")?;
            let (x, y, label) = (LEFT - 8.0, y + 4.0, time_label(decade));
            writeln!(
                svg,
                "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"end\">{label}</text>"
            )?;
        }
        for decade in across.decades() {
            let (x, y) = (across.place(decade), bottom + 20.0);
            let label = format!("{}{}", grouped(decade), self.unit);
            writeln!(
                svg,
                "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>"
            )?;
        }
        self.lines
            .iter()
            .try_for_each(|line| line.draw(svg, &across, &up))
    }

    fn axes(&self) -> (Axis, Axis) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let across = Axis {
            decades: decades(points().map(|point| point.0)),
            from: LEFT + 14.0,
            to: PANEL.0 - RIGHT - 14.0,
        };
        let up = Axis {
            decades: decades(points().map(|point| point.1)),
            from: PANEL.1 - BOTTOM,
            to: TOP,
        };
        (across, up)
    }
}

impl Line {
    /// Its colour and name above the plot, from `left` on.
    fn draw_key(&self, svg: &mut String, left: f64) -> Result {
        let (class, name) = (self.class, self.name);
        let (x, text) = (left + 5.0, left + 15.0);
        writeln!(
            svg,
            "<circle class=\"{class}\" cx=\"{x}\" cy=\"42\" r=\"4\"/>"
        )?;
        writeln!(
            svg,
            "<text class=\"{class}\" x=\"{text}\" y=\"46\">{name}</text>"
        )?;
        Ok(())
    }

    fn draw(&self, svg: &mut String, across: &Axis, up: &Axis) -> Result {
        let class = self.class;
        let places = self.points.iter();
        let places: Vec<_> = places
            .map(|&(x, y)| (across.place(x), up.place(y)))
            .collect();
        let Some(&(x, y)) = places.last() else {
            return Ok(());
        };
        let corners: Vec<_> = places
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        writeln!(
            svg,
            "<polyline class=\"{class}\" points=\"{}\"/>",
            corners.join(" ")
        )?;
        for (&(x, y), &(_, time)) in places.iter().zip(&self.points) {
            writeln!(
                svg,
                "<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{}</title></circle>",
                seconds(time)
            )?;
        }
        let (x, y, time) = (x + 8.0, y - 12.0, self.points[self.points.len() - 1].1);
        let time = seconds(time);
        writeln!(
            svg,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{time}</text>"
        )?;
        Ok(())
    }
}

/// A logarithmic axis over whole decades, given by their exponents.
struct Axis {
    decades: (i32, i32),
    from: f64,
    to: f64,
}

impl Axis {
    fn decades(&self) -> impl Iterator<Item = f64> + use<> {
        (self.decades.0..=self.decades.1).map(|exponent| 10_f64.powi(exponent))
    }

    fn place(&self, value: f64) -> f64 {
        let (first, last) = (f64::from(self.decades.0), f64::from(self.decades.1));
        self.from + (value.log10() - first) / (last - first) * (self.to - self.from)
    }
}

/// The exponents between which all values lie, never the same twice.
fn decades(values: impl Iterator<Item = f64> + Clone) -> (i32, i32) {
    let exponents = values.map(|value| value.max(1e-9).log10());
    let least = exponents.clone().fold(f64::INFINITY, f64::min);
    let most = exponents.fold(f64::NEG_INFINITY, f64::max);
    if !least.is_finite() {
        return (0, 1);
    }
    // Between -9 and some tens.
    #[allow(clippy::cast_possible_truncation)]
    let (least, most) = (least.floor() as i32, most.ceil() as i32);
    (least, most.max(least + 1))
}

fn time_label(time: f64) -> String {
    match time {
        ..0.001 => format!("{} µs", (time * 1e6).round()),
        ..1.0 => format!("{} ms", (time * 1e3).round()),
        _ => format!("{} s", time.round()),
    }
}

/// A whole number with a comma before every three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
