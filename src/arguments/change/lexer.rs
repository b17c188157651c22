//! Reads quotes, escapes and variables in a word of a Dockerfile as Docker does, which is not all that a shell knows
//! (buildkit, `shell/lex.go`).

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::Side;
use super::word::{Content, Operation, Test, Word};

/// More than anybody writes, and less than the stack holds.
const MOST_NESTED: usize = 100;

struct Lexer<'t> {
    characters: Peekable<Chars<'t>>,
    escape: char,
    nested: usize,
}

impl Word {
    /// # Errors
    /// Quotes or braces are left open, or a substitution is none that Docker knows.
    pub fn read(text: &str, escape: char) -> Result<Self, String> {
        let characters = text.chars().peekable();
        let mut lexer = Lexer {
            characters,
            escape,
            nested: 0,
        };
        lexer.word(None, false)
    }
}

impl Lexer<'_> {
    /// A word up to `end`. In a pattern escapes are kept, as they mean something there too.
    fn word(&mut self, end: Option<char>, is_pattern: bool) -> Result<Word, String> {
        let mut word = Word::default();
        while let Some(character) = self.characters.next() {
            match character {
                _ if Some(character) == end => return Ok(word),
                '$' => word.push(self.variable()?, false),
                '\'' => self.single_quoted(&mut word)?,
                '"' => self.double_quoted(&mut word, is_pattern)?,
                _ if character == self.escape => self.escaped(&mut word, is_pattern),
                _ => word.push_character(character, false),
            }
        }
        match end {
            None => Ok(word),
            Some(end) => Err(format!("a substitution lacks its {end:?}")),
        }
    }

    fn escaped(&mut self, word: &mut Word, is_pattern: bool) {
        if is_pattern {
            word.push_character(self.escape, true);
        }
        if let Some(character) = self.characters.next() {
            word.push_character(character, true);
        }
    }

    fn single_quoted(&mut self, word: &mut Word) -> Result<(), String> {
        for character in self.characters.by_ref() {
            if character == '\'' {
                return Ok(());
            }
            word.push_character(character, true);
        }
        Err("a single quote is left open".to_owned())
    }

    fn double_quoted(&mut self, word: &mut Word, is_pattern: bool) -> Result<(), String> {
        while let Some(character) = self.characters.next() {
            match character {
                '"' => return Ok(()),
                '$' => word.push(self.variable()?, true),
                _ if character == self.escape => {
                    if is_pattern {
                        word.push_character(character, true);
                    }
                    let escape = self.escape;
                    let is_escapable = |next: &char| matches!(next, '"' | '$') || *next == escape;
                    let escaped = self.characters.next_if(is_escapable);
                    word.push_character(escaped.unwrap_or(character), true);
                }
                _ => word.push_character(character, true),
            }
        }
        Err("a double quote is left open".to_owned())
    }

    /// What follows a dollar sign.
    fn variable(&mut self) -> Result<Content, String> {
        if self.characters.next_if_eq(&'{').is_some() {
            return self.nested(Self::substitution);
        }
        let name = self.name();
        if name.is_empty() {
            return Ok(Content::Text("$".to_owned()));
        }
        let operation = Operation::Value;
        Ok(Content::Variable { name, operation })
    }

    fn nested<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        if self.nested == MOST_NESTED {
            return Err(format!(
                "substitutions are nested more than {MOST_NESTED} deep"
            ));
        }
        self.nested += 1;
        let outcome = read(self);
        self.nested -= 1;
        outcome
    }

    /// What follows `${`.
    fn substitution(&mut self) -> Result<Content, String> {
        if matches!(self.characters.peek(), Some('{' | '}' | ':')) {
            return Err("a substitution lacks its variable".to_owned());
        }
        let name = self.name();
        let operation = match self.characters.next() {
            None => return Err("a substitution lacks its '}'".to_owned()),
            Some('}') => Operation::Value,
            Some(':') => {
                let sign = self.characters.next().unwrap_or_default();
                self.test(sign, true)?
            }
            Some('#') => self.trim('#', Side::Front)?,
            Some('%') => self.trim('%', Side::Back)?,
            Some('/') => Operation::Replace {
                is_everywhere: self.characters.next_if_eq(&'/').is_some(),
                pattern: self.word(Some('/'), true)?,
                replacement: self.word(Some('}'), true)?,
            },
            Some(sign) => self.test(sign, false)?,
        };
        Ok(Content::Variable { name, operation })
    }

    fn test(&mut self, sign: char, is_empty_unset: bool) -> Result<Operation, String> {
        let test = match sign {
            '-' => Test::Default,
            '+' => Test::Alternative,
            '?' => Test::Required,
            _ => return Err(format!("{sign:?} is no substitution that Dockerfiles know")),
        };
        Ok(Operation::Test {
            test,
            is_empty_unset,
            word: self.word(Some('}'), false)?,
        })
    }

    fn trim(&mut self, sign: char, side: Side) -> Result<Operation, String> {
        Ok(Operation::Trim {
            side,
            is_longest: self.characters.next_if_eq(&sign).is_some(),
            pattern: self.word(Some('}'), true)?,
        })
    }

    /// A variable's name, a number, or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        if let Some(special) = self.characters.next_if(|next| "@*#?-$!".contains(*next)) {
            name.push(special);
        } else if self.characters.peek().is_some_and(char::is_ascii_digit) {
            while let Some(digit) = self.characters.next_if(char::is_ascii_digit) {
                name.push(digit);
            }
        } else {
            let belongs = |next: &char| next.is_alphanumeric() || *next == '_';
            while let Some(character) = self.characters.next_if(belongs) {
                name.push(character);
            }
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::Environment;
    use super::*;

    fn environment() -> Environment {
        let pairs = [
            ("a", "one"),
            ("b", "two words"),
            ("empty", ""),
            ("path", "/usr/lib/x.tar.gz"),
        ];
        pairs
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    }

    fn expand(text: &str) -> Result<String, String> {
        Word::read(text, '\\')?.expand(&environment())
    }

    #[test]
    fn variables_are_replaced_but_in_single_quotes() {
        for (text, expanded) in [
            ("$a-${a}$none.", "one-one."),
            ("'$a' \"$a\"", "$a one"),
            (r"\$a $ \\ a\ b", r"$a $ \ a b"),
            (r#""\$a \" \n \\""#, r#"$a " \n \"#),
            ("$1x $@ $$", "x  "),
            ("a'b'\"c\"d", "abcd"),
        ] {
            assert_eq!(expand(text), Ok(expanded.into()), "{text}");
        }
    }

    #[test]
    fn substitutions_are_a_shells() {
        for (text, expanded) in [
            ("${none:-x$a} ${empty:-x} ${empty-x} ${a:-x}", "xone x  one"),
            ("${none+x}|${empty+x}|${empty:+x}|${a:+x}", "|x||x"),
            ("${none:-${none:-${a}}}", "one"),
            ("${path#*/} ${path##*/}", "usr/lib/x.tar.gz x.tar.gz"),
            ("${path%.*} ${path%%.*}", "/usr/lib/x.tar /usr/lib/x"),
            (
                r"${path//\//:} ${path/lib/bin}",
                ":usr:lib:x.tar.gz /usr/bin/x.tar.gz",
            ),
            ("${a:?must be set}", "one"),
            ("${none:-\\}}", "}"),
        ] {
            assert_eq!(expand(text), Ok(expanded.into()), "{text}");
        }
        assert_eq!(
            expand("${none:?must be set}"),
            Err("none: must be set".into())
        );
        assert!(expand("${empty:?}").is_err());
        assert_eq!(expand("${empty?}"), Ok(String::new()));
    }

    #[test]
    fn what_is_left_open_or_unknown_is_refused() {
        for text in [
            "${a", "${", "${}", "${:-x}", "${a:x}", "${a^}", "${a:-b", "'a", "\"a", "${a/b}",
        ] {
            assert!(Word::read(text, '\\').is_err(), "{text}");
        }
        assert!(expand(r"${a#\x}").is_err());
        assert!(Word::read(&"${a:-".repeat(30_000), '\\').is_err());
    }

    #[test]
    fn blanks_of_variables_separate_words_but_in_quotes() {
        let words = |text| {
            Word::read(text, '\\')
                .unwrap()
                .expand_to_words(&environment())
        };
        assert_eq!(words("x$b"), Ok(vec!["xtwo".into(), "words".into()]));
        assert_eq!(words("\"x$b\""), Ok(vec!["xtwo words".into()]));
        assert_eq!(words("$none"), Ok(vec![]));
    }
}
