//! `FREEZEFRAME_RESERVE`: what a commit leaves free on the disk that the container writes to.

use std::env;

use anyhow::{Context, Result};

const VARIABLE: &str = "FREEZEFRAME_RESERVE";
const UNITS: [(&str, u64); 5] = [
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("", 1),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// Nobody says.
    Unsaid,
    /// Of the disk's size, at most 100.
    Percent(u8),
    Bytes(u64),
}

impl Reserve {
    /// # Errors
    /// The variable holds neither a size nor a share.
    pub fn from_environment() -> Result<Self> {
        let word = env::var_os(VARIABLE).unwrap_or_default();
        let text = word.to_string_lossy();
        if text.is_empty() {
            return Ok(Self::Unsaid);
        }
        Self::parse(&text).with_context(|| {
            format!(
                "{VARIABLE} is {text:?}, which is neither a size such as 500M or 2G nor a share of the disk such as 5%"
            )
        })
    }

    /// `None` for what is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = number(percent)?;
            return u8::try_from(percent)
                .ok()
                .filter(|percent| *percent <= 100)
                .map(Self::Percent);
        }
        let (count, unit) = UNITS
            .iter()
            .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
        number(count)?.checked_mul(*unit).map(Self::Bytes)
    }
}

/// Digits alone, without the sign that Rust would take.
fn number(digits: &str) -> Option<u64> {
    let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_shares_are_read() {
        assert_eq!(Reserve::parse("0"), Some(Reserve::Bytes(0)));
        assert_eq!(Reserve::parse("500M"), Some(Reserve::Bytes(500 << 20)));
        assert_eq!(Reserve::parse("2T"), Some(Reserve::Bytes(2 << 40)));
        assert_eq!(Reserve::parse("5%"), Some(Reserve::Percent(5)));
        for bad in [
            "",
            "M",
            "%",
            "-1",
            "+1",
            "1.5G",
            "101%",
            "1 G",
            "1g",
            "99999999999T",
        ] {
            assert_eq!(Reserve::parse(bad), None, "{bad}");
        }
    }
}
