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
    let mut parser = Parser {
        words,
        places,
        position: 0,
        parsed: Parsed::default(),
    };
    match parser.parse() {
        Ok(()) => Ok(parser.parsed),
        Err(message) => Err((parser.parsed, message)),
    }
}

struct Parser<'a> {
    words: &'a [&'a str],
    places: &'a [Place],
    /// Of the word that comes next.
    position: usize,
    parsed: Parsed,
}

impl<'a> Parser<'a> {
    fn parse(&mut self) -> Result<(), String> {
        while let Some(word) = self.next() {
            if word == "--" {
                let rest = &self.words[self.position..];
                let rest = rest.iter().map(ToString::to_string);
                self.parsed.arguments.extend(rest);
                break;
            } else if let Some(long) = word.strip_prefix("--") {
                self.parse_long(long)?;
            } else if word.len() > 1 && word.starts_with('-') {
                self.parse_bundle(&word[1..])?;
            } else {
                self.parsed.arguments.push(word.to_owned());
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Option<&'a str> {
        let word = self.words.get(self.position)?;
        self.position += 1;
        Some(word)
    }

    fn parse_long(&mut self, long: &'a str) -> Result<(), String> {
        let first = self.position - 1;
        if long.starts_with(['-', '=']) {
            return Err(format!("bad flag syntax: --{long}"));
        }
        let (name, attached) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (long, None),
        };
        let flag =
            by_long_name(name, self.places).ok_or_else(|| format!("unknown flag: --{name}"))?;
        let value = match (attached, flag.takes) {
            (Some(value), _) => value,
            (None, Takes::Boolean) => "true",
            (None, _) => self.next().ok_or_else(|| lacks_argument(name))?,
        };
        self.set(flag, value, first)
    }

    /// A bundle of short flags: `-pm hello`, `-mhello`, `-m=hello`.
    fn parse_bundle(&mut self, bundle: &'a str) -> Result<(), String> {
        let first = self.position - 1;
        let mut rest = bundle;
        while let Some(name) = rest.chars().next() {
            let flag = by_short_name(name, self.places).ok_or_else(|| unknown_in(rest))?;
            let after = &rest[name.len_utf8()..];
            let value = match after.strip_prefix('=') {
                // pflag wants something after the equals sign.
                Some(value) if !value.is_empty() => value,
                _ if flag.takes == Takes::Boolean => {
                    self.set(flag, "true", first)?;
                    rest = after;
                    continue;
                }
                _ if !after.is_empty() => after,
                _ => {
                    let lacking = || format!("flag needs an argument: {name:?} in -{rest}");
                    self.next().ok_or_else(lacking)?
                }
            };
            return self.set(flag, value, first);
        }
        Ok(())
    }

    /// Takes note of a flag that the words from `first` to the next one set.
    fn set(&mut self, flag: &Flag, value: &str, first: usize) -> Result<(), String> {
        let setting = setting(flag, value, first..self.position)?;
        self.parsed.settings.push(setting);
        Ok(())
    }
}

/// pflag takes the first byte for a character.
fn unknown_in(bundle: &str) -> String {
    let first = bundle.bytes().next().map_or('-', char::from);
    format!("unknown shorthand flag: {first:?} in -{bundle}")
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
