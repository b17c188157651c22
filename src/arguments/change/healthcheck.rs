//! HEALTHCHECK: a command with its times, or none (Dockerfile reference; buildkit, `instructions/parse.go`).

use super::words::{Instruction, json_strings};
use crate::arguments::duration::nanoseconds;

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
    let nanoseconds = nanoseconds(text).ok_or("not a time such as 1m30s or 500ms")?;
    if nanoseconds != 0 && nanoseconds < MILLISECOND {
        return Err("less than a millisecond".to_owned());
    }
    Ok(nanoseconds)
}
