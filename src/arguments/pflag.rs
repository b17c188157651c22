//! The rules of pflag, the library that nerdctl parses its command line with (github.com/spf13/pflag, `flag.go`).
//!
//! Values are taken whatever they look like; booleans take one only after `=`; flags may stand anywhere among the
//! arguments until `--`. Errors are worded as pflag words them.

use super::flags::{Flag, Place, Takes, by_long_name, by_short_name};
use super::integer;
use crate::system::text::quoted;

/// A flag with the value it was given, and the words it was given in.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The name of what it sets.
    pub name: &'static str,
    pub value: String,
    pub words: std::ops::Range<usize>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    pub settings: Vec<Setting>,
    pub arguments: Vec<String>,
}

/// Parses all of `words`; on an error, what was understood before it comes with the message.
pub fn parse(words: &[&str], places: &[Place]) -> Result<Parsed, (Parsed, String)> {
    let mut parsed = Parsed::default();
    let mut position = 0;
    while position < words.len() {
        match parse_word(words, position, places, &mut parsed) {
            Ok(next) => position = next,
            Err(message) => return Err((parsed, message)),
        }
    }
    Ok(parsed)
}

/// Parses the word at `position`, with its value; returns the position after them.
fn parse_word(
    words: &[&str],
    position: usize,
    places: &[Place],
    parsed: &mut Parsed,
) -> Result<usize, String> {
    let word = words[position];
    if word == "--" {
        parsed
            .arguments
            .extend(words[position + 1..].iter().map(ToString::to_string));
        Ok(words.len())
    } else if let Some(long) = word.strip_prefix("--") {
        parse_long(long, words, position, places, parsed)
    } else if word.len() > 1 && word.starts_with('-') {
        parse_bundle(&word[1..], words, position, places, parsed)
    } else {
        parsed.arguments.push(word.to_owned());
        Ok(position + 1)
    }
}

fn parse_long(
    long: &str,
    words: &[&str],
    position: usize,
    places: &[Place],
    parsed: &mut Parsed,
) -> Result<usize, String> {
    if long.starts_with(['-', '=']) {
        return Err(format!("bad flag syntax: --{long}"));
    }
    let (name, attached) = match long.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (long, None),
    };
    let flag = by_long_name(name, places).ok_or_else(|| format!("unknown flag: --{name}"))?;
    let (value, next) = match (attached, flag.takes) {
        (Some(value), _) => (value, position + 1),
        (None, Takes::Boolean) => ("true", position + 1),
        (None, _) => {
            let value = words.get(position + 1);
            let value = value.ok_or_else(|| lacks_argument(name))?;
            (*value, position + 2)
        }
    };
    parsed.settings.push(setting(flag, value, position..next)?);
    Ok(next)
}

/// A bundle of short flags: `-pm hello`, `-mhello`, `-m=hello`.
fn parse_bundle(
    bundle: &str,
    words: &[&str],
    position: usize,
    places: &[Place],
    parsed: &mut Parsed,
) -> Result<usize, String> {
    let mut rest = bundle;
    while let Some(name) = rest.chars().next() {
        // pflag takes the first byte for a character.
        let first = rest.bytes().next().map_or(name, char::from);
        let flag = by_short_name(name, places)
            .ok_or_else(|| format!("unknown shorthand flag: {first:?} in -{rest}"))?;
        let after = &rest[name.len_utf8()..];
        let (value, next) = match after.strip_prefix('=') {
            // pflag wants something after the equals sign.
            Some(value) if !value.is_empty() => (value, position + 1),
            _ if flag.takes == Takes::Boolean => {
                parsed
                    .settings
                    .push(setting(flag, "true", position..position + 1)?);
                rest = after;
                continue;
            }
            _ if !after.is_empty() => (after, position + 1),
            _ => {
                let value = words.get(position + 1);
                let value =
                    value.ok_or_else(|| format!("flag needs an argument: {name:?} in -{rest}"))?;
                (*value, position + 2)
            }
        };
        parsed.settings.push(setting(flag, value, position..next)?);
        return Ok(next);
    }
    Ok(position + 1)
}

fn setting(flag: &Flag, value: &str, words: std::ops::Range<usize>) -> Result<Setting, String> {
    let problem = match flag.takes {
        Takes::Text => None,
        Takes::Boolean => parse_boolean(value).is_none().then(|| {
            format!(
                "strconv.ParseBool: parsing {}: invalid syntax",
                quoted(value)
            )
        }),
        Takes::Number => integer::check(value)
            .err()
            .map(|problem| format!("strconv.ParseInt: parsing {}: {problem}", quoted(value))),
    };
    if let Some(problem) = problem {
        let names = match flag.short {
            Some(short) => format!("-{short}, --{}", flag.long),
            None => format!("--{}", flag.long),
        };
        return Err(format!(
            "invalid argument {} for \"{names}\" flag: {problem}",
            quoted(value)
        ));
    }
    Ok(Setting {
        name: flag.sets,
        value: value.to_owned(),
        words,
    })
}

/// Go's strconv.ParseBool.
pub fn parse_boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// What is said of a flag that is the last word.
pub fn lacks_argument(name: &str) -> String {
    format!("flag needs an argument: --{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: &[Place] = &[Place::Anywhere, Place::Commit];

    fn settings(words: &[&str]) -> Vec<(&'static str, String)> {
        let parsed = parse(words, PLACES).unwrap();
        parsed
            .settings
            .into_iter()
            .map(|setting| (setting.name, setting.value))
            .collect()
    }

    fn message(words: &[&str]) -> String {
        parse(words, PLACES).unwrap_err().1
    }

    #[test]
    fn values_are_taken_in_every_form() {
        let text = || vec![("message", "text".to_owned())];
        assert_eq!(settings(&["-m", "text"]), text());
        assert_eq!(settings(&["-mtext"]), text());
        assert_eq!(settings(&["-m=text"]), text());
        assert_eq!(settings(&["--message", "text"]), text());
        assert_eq!(settings(&["--message=text"]), text());
        assert_eq!(
            settings(&["-m", "-dash"]),
            [("message", "-dash".to_owned())]
        );
        assert_eq!(settings(&["-m="]), [("message", "=".to_owned())]);
        assert_eq!(settings(&["--message="]), [("message", String::new())]);
        assert_eq!(
            settings(&["--host=/sock"]),
            [("address", "/sock".to_owned())]
        );
    }

    #[test]
    fn bundles_set_each_flag() {
        assert_eq!(
            settings(&["-pm", "hello"]),
            [
                ("pause", "true".to_owned()),
                ("message", "hello".to_owned())
            ]
        );
        assert_eq!(settings(&["-p=false"]), [("pause", "false".to_owned())]);
        assert_eq!(settings(&["-mp"]), [("message", "p".to_owned())]);
    }

    #[test]
    fn a_boolean_takes_no_word_of_its_own() {
        let parsed = parse(&["--pause", "false"], PLACES).unwrap();
        assert_eq!(parsed.arguments, ["false"]);
    }

    #[test]
    fn two_dashes_end_the_flags() {
        let parsed = parse(&["a", "-p", "--", "-m", "--"], PLACES).unwrap();
        assert_eq!(parsed.arguments, ["a", "-m", "--"]);
        assert_eq!(parse(&["-", ""], PLACES).unwrap().arguments, ["-", ""]);
    }

    #[test]
    fn errors_read_as_those_of_pflag() {
        assert_eq!(message(&["--nope=1"]), "unknown flag: --nope");
        assert_eq!(message(&["-pz"]), "unknown shorthand flag: 'z' in -z");
        assert_eq!(message(&["-n", "x"]), "unknown shorthand flag: 'n' in -n");
        assert_eq!(message(&["--author"]), "flag needs an argument: --author");
        assert_eq!(message(&["-pm"]), "flag needs an argument: 'm' in -m");
        assert_eq!(message(&["--=x"]), "bad flag syntax: --=x");
        assert_eq!(
            message(&["--pause=maybe"]),
            "invalid argument \"maybe\" for \"-p, --pause\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax"
        );
    }
}
