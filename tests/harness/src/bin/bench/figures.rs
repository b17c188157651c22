//! Figures: what several runs come to, and how people read them.

/// The same thing measured several times, in order of size.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<f64>);

impl Series {
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    /// None where nothing was measured.
    pub fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }

    /// The median, and between which the others lie; `unit` writes one of them.
    pub fn text(&self, unit: fn(f64) -> String) -> String {
        match self.0[..] {
            [] => "–".to_owned(),
            [one] => unit(one),
            [least, .., most] => {
                let median = unit(self.0[self.0.len() / 2]);
                format!("{median} ({} … {})", unit(least), unit(most))
            }
        }
    }
}

/// Three digits, and the unit that suits them.
pub fn seconds(time: f64) -> String {
    match time {
        ..1.0 => format!("{} ms", three_digits(time * 1e3)),
        _ => format!("{} s", three_digits(time)),
    }
}

pub fn megabytes(bytes: f64) -> String {
    format!("{} MB", three_digits(bytes / 1e6))
}

pub fn times(ratio: f64) -> String {
    format!("{} times", three_digits(ratio))
}

pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn three_digits(value: f64) -> String {
    let digits = match value.abs() {
        ..10.0 => 2,
        ..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Measured sizes stay far below 2^53.
#[allow(clippy::cast_precision_loss)]
pub fn number(value: u64) -> f64 {
    value as f64
}
