//! A word of a Dockerfile, without quotes and escapes, and what becomes of its variables (Dockerfile reference,
//! "Environment replacement"; buildkit, `shell/lex.go`).

use super::Environment;
use super::pattern::{Pattern, Side};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    content: Content,
    /// Blanks in it separate nothing.
    is_quoted: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(String),
    Variable { name: String, operation: Operation },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `$x`, `${x}`
    Value,
    /// `${x-word}`, `${x+word}`, `${x?word}`, and with a colon, where an empty value counts as none.
    Test {
        test: Test,
        is_empty_unset: bool,
        word: Word,
    },
    /// `${x#pattern}`, `${x##pattern}`, `${x%pattern}`, `${x%%pattern}`
    Trim {
        side: Side,
        is_longest: bool,
        pattern: Word,
    },
    /// `${x/pattern/replacement}`, `${x//pattern/replacement}`
    Replace {
        pattern: Word,
        replacement: Word,
        is_everywhere: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    Default,
    Alternative,
    Required,
}

impl Word {
    pub fn push(&mut self, content: Content, is_quoted: bool) {
        self.pieces.push(Piece { content, is_quoted });
    }

    pub fn push_character(&mut self, character: char, is_quoted: bool) {
        if let Some(Piece {
            content: Content::Text(text),
            is_quoted: quoted,
        }) = self.pieces.last_mut()
            && *quoted == is_quoted
        {
            text.push(character);
        } else {
            self.push(Content::Text(character.into()), is_quoted);
        }
    }

    /// The text it makes.
    pub fn expand(&self, environment: &Environment) -> Result<String, String> {
        let pieces = self.pieces.iter();
        pieces
            .map(|piece| piece.content.expand(environment))
            .collect()
    }

    /// The words it makes, as blanks that are not quoted separate them.
    pub fn expand_to_words(&self, environment: &Environment) -> Result<Vec<String>, String> {
        let mut words = vec![String::new()];
        for piece in &self.pieces {
            for character in piece.content.expand(environment)?.chars() {
                match words.last_mut() {
                    Some(word) if piece.is_quoted || !character.is_whitespace() => {
                        word.push(character);
                    }
                    _ => words.push(String::new()),
                }
            }
        }
        words.retain(|word| !word.is_empty());
        Ok(words)
    }
}

impl Content {
    fn expand(&self, environment: &Environment) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::Variable { name, operation } => {
                operation.expand(name, environment.get(name).map(String::as_str), environment)
            }
        }
    }
}

impl Operation {
    fn expand(
        &self,
        name: &str,
        value: Option<&str>,
        environment: &Environment,
    ) -> Result<String, String> {
        match self {
            Self::Value => Ok(value.unwrap_or_default().to_owned()),
            Self::Test {
                test,
                is_empty_unset,
                word,
            } => {
                let value = value.filter(|value| !(*is_empty_unset && value.is_empty()));
                test.apply(name, value, word.expand(environment)?)
            }
            Self::Trim {
                side,
                is_longest,
                pattern,
            } => {
                let pattern = Pattern::read(&pattern.expand(environment)?)?;
                Ok(pattern.trim(value.unwrap_or_default(), *side, *is_longest))
            }
            Self::Replace {
                pattern,
                replacement,
                is_everywhere,
            } => {
                let pattern = Pattern::read(&pattern.expand(environment)?)?;
                let replacement = replacement.expand(environment)?;
                Ok(pattern.replace(value.unwrap_or_default(), &replacement, *is_everywhere))
            }
        }
    }
}

impl Test {
    fn apply(self, name: &str, value: Option<&str>, word: String) -> Result<String, String> {
        match (self, value) {
            (Self::Default | Self::Required, Some(value)) => Ok(value.to_owned()),
            (Self::Default, None) | (Self::Alternative, Some(_)) => Ok(word),
            (Self::Alternative, None) => Ok(String::new()),
            (Self::Required, None) if word.is_empty() => {
                Err(format!("the image has no value for the variable {name}"))
            }
            (Self::Required, None) => Err(format!("{name}: {word}")),
        }
    }
}
