//! Times in Go's notation (`time.ParseDuration`): numbers with units, such as 1m30s or 500ms.

use std::time::Duration;

/// A time that is not nothing.
pub fn positive(text: &str) -> Option<Duration> {
    let nanoseconds = u64::try_from(nanoseconds(text)?).ok()?;
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

/// The nanoseconds of a time.
pub fn nanoseconds(text: &str) -> Option<i64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (nanoseconds, next) = part(rest)?;
        total += nanoseconds;
        rest = next;
    }
    i64::try_from(total * sign).ok()
}

/// A number with its unit at the front, and what follows.
fn part(text: &str) -> Option<(i128, &str)> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest
        .find(|c: char| c.is_ascii_digit() || c == '.')
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let unit: i128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.len() + fraction.len() == 0 || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole: i128 = format!("0{whole}").parse().ok()?;
    // More digits than this say nothing in nanoseconds.
    let fraction = &fraction[..fraction.len().min(18)];
    let scale = 10_i128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: i128 = format!("0{fraction}").parse().ok()?;
    Some((whole * unit + fraction * unit / scale, rest))
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_written_as_in_go() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("5s", 5_000_000_000),
            ("+1m30s", 90_000_000_000),
            ("1h2m3.5s", 3_723_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1500us", 1_500_000),
            ("2\u{b5}s3ns", 2_003),
            ("0s", 0),
            ("-1s", -1_000_000_000),
            ("2562047h47m16.854775807s", i64::MAX),
        ] {
            assert_eq!(super::nanoseconds(text), Some(nanoseconds), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            ".s",
            "1..2s",
            "5x",
            "1 s",
            "--1s",
            "2562048h",
            "99999999999999999999s",
            "-",
            "+",
        ] {
            assert_eq!(super::nanoseconds(text), None, "{text}");
        }
    }
}
