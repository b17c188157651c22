//! HEALTHCHECK: a command with its times, or none (Dockerfile reference; buildkit, `instructions/parse.go`).

use super::words::{Instruction, json_strings};

/// As the image's configuration holds it: times in nanoseconds, zero where nothing was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    pub test: Vec<String>,
    pub interval: i64,
    pub timeout: i64,
    pub start_period: i64,
    pub start_interval: i64,
    pub retries: i64,
}

/// What Docker takes for the shortest time.
const MILLISECOND: i64 = 1_000_000;

impl Healthcheck {
    pub fn read(instruction: &Instruction) -> Result<Self, String> {
        let text = instruction.expect_text()?;
        let (kind, command) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let mut healthcheck = Self::default();
        healthcheck.set_flags(&instruction.flags)?;
        match kind.to_uppercase().as_str() {
            // Docker lets it have flags, and makes nothing of them.
            "NONE" if command.is_empty() => {
                return Ok(Self {
                    test: vec!["NONE".to_owned()],
                    ..Self::default()
                });
            }
            "NONE" => return Err("HEALTHCHECK NONE takes no command".to_owned()),
            "CMD" => healthcheck.test = test(command.trim())?,
            _ => return Err(format!("a health check is NONE or CMD, not {kind}")),
        }
        Ok(healthcheck)
    }

    fn set_flags(&mut self, flags: &[String]) -> Result<(), String> {
        let mut seen = Vec::new();
        for flag in flags {
            let (name, value) = flag
                .split_once('=')
                .ok_or_else(|| format!("the flag {flag} needs a value: {flag}=..."))?;
            if seen.contains(&name) {
                return Err(format!("the flag {name} is given twice"));
            }
            seen.push(name);
            self.set_flag(name, value)
                .map_err(|problem| format!("{flag}: {problem}"))?;
        }
        Ok(())
    }

    fn set_flag(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "--interval" => self.interval = time(value)?,
            "--timeout" => self.timeout = time(value)?,
            "--start-period" => self.start_period = time(value)?,
            "--start-interval" => self.start_interval = time(value)?,
            "--retries" => self.retries = count(value)?,
            _ => return Err("HEALTHCHECK knows no such flag".to_owned()),
        }
        Ok(())
    }
}

fn test(command: &str) -> Result<Vec<String>, String> {
    let (kind, words) = match json_strings(command)? {
        Some(words) => ("CMD", words),
        None if command.is_empty() => ("CMD-SHELL", vec![]),
        None => ("CMD-SHELL", vec![command.to_owned()]),
    };
    if words.is_empty() {
        return Err("HEALTHCHECK CMD needs a command".to_owned());
    }
    Ok(std::iter::once(kind.to_owned()).chain(words).collect())
}

fn count(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    match text.parse::<i32>() {
        Ok(count) if count >= 0 => Ok(count.into()),
        _ => Err("not a number of times".to_owned()),
    }
}

fn time(text: &str) -> Result<i64, String> {
    if text.is_empty() {
        return Ok(0);
    }
    let nanoseconds = duration(text).ok_or("not a time such as 1m30s or 500ms")?;
    if nanoseconds != 0 && nanoseconds < MILLISECOND {
        return Err("less than a millisecond".to_owned());
    }
    Ok(nanoseconds)
}

/// Nanoseconds, of Go's notation for times (`time.ParseDuration`).
fn duration(text: &str) -> Option<i64> {
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
        let (part, next) = duration_part(rest)?;
        total += part;
        rest = next;
    }
    i64::try_from(total * sign).ok()
}

/// A number with its unit at the front, and what follows.
fn duration_part(text: &str) -> Option<(i128, &str)> {
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
    use super::*;

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
            assert_eq!(duration(text), Some(nanoseconds), "{text}");
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
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
