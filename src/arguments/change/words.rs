//! An instruction's keyword, flags and words (buildkit, `split_command.go` and `line_parsers.go`). Quotes and escapes
//! stay in the words: see `lexer`.

/// What separates words for Docker where no quotes count.
const BLANKS: [char; 5] = ['\t', '\u{b}', '\u{c}', '\r', ' '];

/// An instruction in its parts.
pub struct Instruction<'t> {
    pub keyword: &'t str,
    /// The words at the front that begin with `--`, without quotes and escapes.
    pub flags: Vec<String>,
    /// What follows them.
    pub text: &'t str,
    pub escape: char,
}

impl<'t> Instruction<'t> {
    pub fn read(line: &'t str, escape: char) -> Self {
        let line = line.trim_start();
        let (keyword, rest) = line.split_once(BLANKS).unwrap_or((line.trim_end(), ""));
        let (flags, text) = leading_flags(rest, escape);
        Self {
            keyword,
            flags,
            text: text.trim(),
            escape,
        }
    }

    /// # Errors
    /// There is a flag.
    pub fn expect_no_flags(&self) -> Result<(), String> {
        match self.flags.first() {
            None => Ok(()),
            Some(flag) => Err(format!(
                "{} knows no flag {flag}",
                self.keyword.to_uppercase()
            )),
        }
    }

    /// # Errors
    /// There is none.
    pub fn expect_text(&self) -> Result<&'t str, String> {
        if self.text.is_empty() {
            return Err(format!("{} needs a value", self.keyword.to_uppercase()));
        }
        Ok(self.text)
    }

    /// The words of the text, whatever quotes say.
    pub fn plain_words(&self) -> Vec<&'t str> {
        self.text
            .split(BLANKS)
            .filter(|word| !word.is_empty())
            .collect()
    }

    /// The text's first word and the rest, or nothing where it is all one word.
    pub fn first_word(&self) -> Option<(&'t str, &'t str)> {
        let (word, rest) = self.text.split_once(BLANKS)?;
        Some((word, rest.trim_start_matches(BLANKS)))
    }

    /// The words of the text; blanks in quotes and escaped ones separate nothing.
    pub fn quoted_words(&self) -> Vec<&'t str> {
        let mut words = Vec::new();
        let mut rest = self.text.trim_start();
        while !rest.is_empty() {
            let end = word_end(rest, self.escape);
            words.push(&rest[..end]);
            rest = rest[end..].trim_start();
        }
        words
    }
}

/// Where the word at the front of `text` ends.
fn word_end(text: &str, escape: char) -> usize {
    let mut quote = None;
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        match quote {
            None if character.is_whitespace() => return position,
            None if matches!(character, '"' | '\'') => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == escape && quote != Some('\'') => drop(characters.next()),
            _ => {}
        }
    }
    text.len()
}

fn leading_flags(mut text: &str, escape: char) -> (Vec<String>, &str) {
    let mut flags = Vec::new();
    loop {
        text = text.trim_start();
        if !text.starts_with("--") {
            return (flags, text);
        }
        let end = word_end(text, escape);
        let flag = unquoted(&text[..end], escape);
        text = &text[end..];
        if flag == "--" {
            return (flags, text);
        }
        flags.push(flag);
    }
}

fn unquoted(word: &str, escape: char) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut characters = word.chars();
    while let Some(character) = characters.next() {
        match quote {
            None if matches!(character, '"' | '\'') => quote = Some(character),
            Some(open) if character == open => quote = None,
            _ if character == escape => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

/// The strings of a JSON array; `None` where the text is no JSON array.
///
/// # Errors
/// It has elements of another kind.
pub fn json_strings(text: &str) -> Result<Option<Vec<String>>, String> {
    let elements: Vec<serde_json::Value> = match serde_json::from_str(text) {
        Ok(elements) => elements,
        Err(_) => return Ok(None),
    };
    let strings = elements
        .iter()
        .map(|element| Some(element.as_str()?.to_owned()));
    let strings: Option<Vec<String>> = strings.collect();
    strings
        .map(Some)
        .ok_or_else(|| "a JSON array may hold strings only".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quoted(text: &str) -> Vec<&str> {
        Instruction::read(text, '\\').quoted_words()
    }

    #[test]
    fn a_keyword_is_followed_by_flags_and_text() {
        let read = Instruction::read("HealthCheck --a=\"b c\"  --d\\ e CMD  x --y ", '\\');
        assert_eq!(read.keyword, "HealthCheck");
        assert_eq!(read.flags, ["--a=b c", "--d e"]);
        assert_eq!(read.text, "CMD  x --y");
        let read = Instruction::read("CMD -- --x", '\\');
        assert_eq!((read.flags.len(), read.text), (0, "--x"));
    }

    #[test]
    fn quotes_and_escapes_hold_words_together() {
        assert_eq!(
            quoted("ENV a=b  c=\"d e\" f='g h'"),
            ["a=b", "c=\"d e\"", "f='g h'"]
        );
        assert_eq!(
            quoted(r#"ENV a\ b=c "d\" e" 'f\' g"#),
            [r"a\ b=c", r#""d\" e""#, r"'f\'", "g"]
        );
        assert_eq!(quoted(r#"ENV a="open word"#), [r#"a="open word"#]);
    }

    #[test]
    fn json_arrays_hold_strings_only() {
        assert_eq!(
            json_strings(r#"["a", "b"]"#),
            Ok(Some(vec!["a".into(), "b".into()]))
        );
        assert_eq!(json_strings("[a]"), Ok(None));
        assert_eq!(json_strings("\"a\""), Ok(None));
        assert!(json_strings("[\"a\", 1]").is_err());
        assert!(json_strings("[null]").is_err());
    }
}
