//! The instructions that set a property of the image other than its command: as typed (`Property<Word>`), and with
//! their variables replaced (`Property<String>`). Rules: Dockerfile reference; buildkit, `instructions/parse.go`.

use super::healthcheck::Healthcheck;
use super::word::Word;
use super::words::{Instruction, json_strings};
use super::{Environment, onbuild, ports, signal};

pub const KEYWORDS: [&str; 9] = [
    "ENV",
    "EXPOSE",
    "HEALTHCHECK",
    "LABEL",
    "ONBUILD",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Property<Text> {
    /// Names and values.
    Environment(Vec<(Text, Text)>),
    /// Such as `80/tcp`, once variables are replaced.
    ExposedPorts(Vec<Text>),
    Healthcheck(Healthcheck),
    /// Names and values.
    Labels(Vec<(Text, Text)>),
    /// An instruction for builds on this image.
    OnBuild(String),
    StopSignal(Text),
    /// Empty: the base image's.
    User(Text),
    Volumes(Vec<Text>),
    /// Relative to the former one, unless it is absolute.
    WorkingDirectory(Text),
}

impl Property<Word> {
    /// # Errors
    /// What is wrong with the instruction, which is one of `KEYWORDS`.
    pub fn read(instruction: &Instruction) -> Result<Self, String> {
        let keyword = instruction.keyword.to_uppercase();
        if keyword == "HEALTHCHECK" {
            return Ok(Self::Healthcheck(Healthcheck::read(instruction)?));
        }
        instruction.expect_no_flags()?;
        let text = instruction.expect_text()?;
        let word = |text: &str| Word::read(text, instruction.escape);
        Ok(match keyword.as_str() {
            "ENV" => Self::Environment(pairs(instruction)?),
            "EXPOSE" => {
                let words = instruction.plain_words();
                Self::ExposedPorts(words.into_iter().map(word).collect::<Result<_, _>>()?)
            }
            "LABEL" => Self::Labels(pairs(instruction)?),
            "ONBUILD" => Self::OnBuild(onbuild::read(instruction)?),
            "STOPSIGNAL" => Self::StopSignal(word(text)?),
            "USER" => Self::User(word(text)?),
            "VOLUME" => Self::Volumes(volumes(instruction)?),
            "WORKDIR" => Self::WorkingDirectory(word(text)?),
            _ => return Err(format!("{keyword} is no instruction")),
        })
    }

    /// Replaces the variables.
    ///
    /// # Errors
    /// What they make is no value.
    pub fn expand(&self, environment: &Environment) -> Result<Property<String>, String> {
        Ok(match self {
            Self::Environment(pairs) => Property::Environment(expand_pairs(pairs, environment)?),
            Self::ExposedPorts(words) => {
                let mut exposed = Vec::new();
                for word in words {
                    for text in word.expand_to_words(environment)? {
                        exposed.extend(ports::read(&text)?);
                    }
                }
                Property::ExposedPorts(exposed)
            }
            Self::Healthcheck(healthcheck) => Property::Healthcheck(healthcheck.clone()),
            Self::Labels(pairs) => Property::Labels(expand_pairs(pairs, environment)?),
            Self::OnBuild(instruction) => Property::OnBuild(instruction.clone()),
            Self::StopSignal(word) => Property::StopSignal(stop_signal(word.expand(environment)?)?),
            Self::User(word) => Property::User(word.expand(environment)?),
            Self::Volumes(words) => {
                let volumes = words.iter().map(|word| path(word.expand(environment)?));
                Property::Volumes(volumes.collect::<Result<_, _>>()?)
            }
            Self::WorkingDirectory(word) => {
                Property::WorkingDirectory(path(word.expand(environment)?)?)
            }
        })
    }
}

/// `NAME=VALUE…`, or the old form `NAME VALUE` with one value to the end of the line.
fn pairs(instruction: &Instruction) -> Result<Vec<(Word, Word)>, String> {
    let words = instruction.quoted_words();
    let pair = |(name, value): (&str, &str)| {
        let name = Word::read(&named(name.to_owned())?, instruction.escape)?;
        Ok((name, Word::read(value, instruction.escape)?))
    };
    if !words.first().is_some_and(|word| word.contains('=')) {
        let lacks_value = || format!("{} lacks its value: NAME=VALUE", instruction.text);
        return Ok(vec![pair(
            instruction.first_word().ok_or_else(lacks_value)?,
        )?]);
    }
    let lacks_sign = |word| format!("{word} lacks a =, as in NAME=VALUE");
    words
        .into_iter()
        .map(|word| pair(word.split_once('=').ok_or_else(|| lacks_sign(word))?))
        .collect()
}

fn expand_pairs(
    pairs: &[(Word, Word)],
    environment: &Environment,
) -> Result<Vec<(String, String)>, String> {
    let expand = |(name, value): &(Word, Word)| {
        let name = named(name.expand(environment)?)?;
        Ok((name, value.expand(environment)?))
    };
    pairs.iter().map(expand).collect()
}

/// A JSON array, or words.
fn volumes(instruction: &Instruction) -> Result<Vec<Word>, String> {
    let listed = json_strings(instruction.text)?;
    let volumes = listed.unwrap_or_else(|| {
        let words = instruction.plain_words();
        words.into_iter().map(str::to_owned).collect()
    });
    if volumes.is_empty() {
        return Err("VOLUME needs a value".to_owned());
    }
    let volume = |text: &String| Word::read(&path(text.trim().to_owned())?, instruction.escape);
    volumes.iter().map(volume).collect()
}

fn stop_signal(name: String) -> Result<String, String> {
    if signal::exists(&name) {
        return Ok(name);
    }
    Err(format!("there is no signal {name:?}"))
}

fn named(name: String) -> Result<String, String> {
    not_empty(name, "a name")
}

fn path(path: String) -> Result<String, String> {
    not_empty(path, "a path")
}

fn not_empty(text: String, what: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(format!("{what} is empty"));
    }
    Ok(text)
}
