//! Whole numbers as Go reads them with base 0 (strconv.ParseInt and the language specification, "Integer literals"): signs,
//! the prefixes 0x, 0o, 0b and 0, and underscores between digits.

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

/// Whether Go would read `text` as a number of 64 bits.
///
/// # Errors
/// What Go says is wrong with it.
pub fn check(text: &str) -> Result<(), &'static str> {
    let magnitude = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (radix, digits) = split_prefix(magnitude);
    if !are_separated(radix, digits) {
        return Err(SYNTAX);
    }
    let digits: String = digits.chars().filter(|digit| *digit != '_').collect();
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(SYNTAX);
    }
    let limit = u64::from(text.starts_with('-')) + i64::MAX.unsigned_abs();
    match u64::from_str_radix(&digits, radix) {
        Ok(value) if value <= limit => Ok(()),
        _ => Err(RANGE),
    }
}

/// The base, and what is to be read in it; an octal zero stays, as it is a digit itself.
fn split_prefix(magnitude: &str) -> (u32, &str) {
    let lower = magnitude.to_ascii_lowercase();
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if lower.starts_with(prefix) {
            return (radix, &magnitude[prefix.len()..]);
        }
    }
    if magnitude.len() > 1 && magnitude.starts_with('0') {
        (8, magnitude)
    } else {
        (10, magnitude)
    }
}

/// An underscore stands between digits, or between a prefix and a digit.
fn are_separated(radix: u32, digits: &str) -> bool {
    let after_prefix = digits.strip_prefix('_').filter(|_| radix != 10);
    let rest = after_prefix.unwrap_or(digits);
    !rest.starts_with('_') && !rest.ends_with('_') && !rest.contains("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_every_base() {
        for text in [
            "0",
            "-7",
            "+9",
            "0x1F",
            "0X_1f",
            "0o17",
            "017",
            "0_7",
            "0b101",
            "1_000",
            "9223372036854775807",
            "-9223372036854775808",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_go_does_not_read_is_refused_in_its_words() {
        for text in [
            "", "-", "x", "1.5", "0x", "08", "0b2", "_1", "1_", "1__0", "--1", " 1", "1e3",
        ] {
            assert_eq!(check(text), Err(SYNTAX), "{text}");
        }
        for text in [
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
        ] {
            assert_eq!(check(text), Err(RANGE), "{text}");
        }
    }
}
