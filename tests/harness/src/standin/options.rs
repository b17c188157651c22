//! Words of a command line, told into options and arguments, as pflag does it.
//!
//! Takes `--name value`, `--name=value`, `-nvalue` for options that have a value, and
//! `--name`, `--name=value` for those that have none. Unknown ones have none.

use crate::Result;
use anyhow::Context;

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Name and value, in the order typed; a switch has the value `true`.
    typed: Vec<(String, String)>,
    /// What is no option.
    pub words: Vec<String>,
}

impl Options {
    /// `with_value` names the options that take one. With `ends_at_first` everything
    /// from the first argument on is left as it is: the words of another command.
    pub fn parse<S: AsRef<str>>(
        words: &[S],
        with_value: &[&str],
        ends_at_first: bool,
    ) -> Result<Self> {
        let mut options = Self::default();
        let mut words = words.iter().map(AsRef::as_ref);
        while let Some(word) = words.next() {
            if word == "--" || !word.starts_with('-') || word == "-" {
                options
                    .words
                    .extend((word != "--").then(|| word.to_owned()));
                if ends_at_first || word == "--" {
                    break;
                }
                continue;
            }
            let (name, value) = match split(word, with_value) {
                (name, Some(value)) => (name, value.to_owned()),
                (name, None) if with_value.contains(&name) => (
                    name,
                    words
                        .next()
                        .with_context(|| format!("{name} wants a value"))?
                        .to_owned(),
                ),
                (name, None) => (name, "true".to_owned()),
            };
            options.typed.push((name.to_owned(), value));
        }
        options.words.extend(words.map(str::to_owned));
        Ok(options)
    }

    pub fn value(&self, name: &str) -> Option<&str> {
        self.either(name, name)
    }

    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.typed
            .iter()
            .filter(move |(typed, _)| typed == name)
            .map(|(_, value)| value.as_str())
    }

    /// The last value of an option with a long and a short name.
    pub fn either(&self, long: &str, short: &str) -> Option<&str> {
        let mut typed = self.typed.iter().rev();
        typed
            .find(|(name, _)| name == long || name == short)
            .map(|(_, value)| value.as_str())
    }

    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some_and(is_true)
    }
}

pub fn is_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True")
}

fn split<'a>(word: &'a str, with_value: &[&str]) -> (&'a str, Option<&'a str>) {
    if let Some((name, value)) = word.split_once('=') {
        return (name, Some(value));
    }
    let short = word
        .get(..2)
        .filter(|short| word.len() > 2 && with_value.contains(short));
    match short {
        Some(short) if !word.starts_with("--") => (short, Some(&word[2..])),
        _ => (word, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_told_from_arguments() {
        let words = [
            "--pause=false",
            "-m",
            "-dash",
            "box",
            "-ctext",
            "--debug",
            "ref",
            "--",
            "--x",
        ];
        let options = Options::parse(&words, &["-m", "-c"], false).unwrap();
        assert!(!options.has("--pause"));
        assert!(options.has("--debug"));
        assert_eq!(options.either("--message", "-m"), Some("-dash"));
        assert_eq!(options.value("-c"), Some("text"));
        assert_eq!(options.words, ["box", "ref", "--x"]);
    }

    #[test]
    fn the_words_of_another_command_are_left_alone() {
        let options = Options::parse(&["-n", "ns", "sh", "-c", "true"], &["-n"], true).unwrap();
        assert_eq!(options.words, ["sh", "-c", "true"]);
    }
}
