//! Text for people: names from inside a container made safe for a terminal, and quotes as Go's programs put them.

use std::io;

/// `bytes` as text; what is no printable character of UTF-8 is escaped, so no name can steer a terminal.
pub fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            push_printable(&mut text, character);
        }
        for byte in chunk.invalid() {
            text.extend(std::ascii::escape_default(*byte).map(char::from));
        }
    }
    text
}

/// The same for a text of several lines, which may be indented by tabs.
pub fn printable_lines(text: &str) -> String {
    let mut lines = String::new();
    for character in text.chars() {
        match character {
            '\n' | '\t' => lines.push(character),
            _ => push_printable(&mut lines, character),
        }
    }
    lines
}

fn push_printable(text: &mut String, character: char) {
    if character.is_control() || turns_the_line(character) {
        text.extend(character.escape_default());
    } else {
        text.push(character);
    }
}

/// `text` between double quotes, with the escapes of Go's strconv.Quote.
pub fn quoted(text: &str) -> String {
    let escaped: String = text.chars().map(escaped).collect();
    format!("\"{escaped}\"")
}

fn escaped(character: char) -> String {
    let code = u32::from(character);
    match character {
        '"' | '\\' => format!("\\{character}"),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\0'..='\u{1f}' | '\u{7f}' => format!("\\x{code:02x}"),
        ' ' => " ".to_owned(),
        _ if !is_printable(character) => format!("\\u{code:04x}"),
        _ => character.to_string(),
    }
}

/// As far as Go's unicode.IsPrint matters to a reader: no controls, no blanks but one, nothing that has no width.
fn is_printable(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    );
    !character.is_control()
        && !character.is_whitespace()
        && !has_no_width
        && !turns_the_line(character)
}

/// Why a system call failed, as Go's programs put it: without the number, and in lower case.
pub fn lowercase_reason(error: &io::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" (os error").next().unwrap_or_default();
    match error.raw_os_error() {
        Some(_) => reason.to_lowercase(),
        None => text,
    }
}

/// Unicode's marks, embeddings, overrides and isolates of direction (Unicode Standard Annex 9).
fn turns_the_line(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_those_of_go() {
        assert_eq!(quoted("a \"b\" \\ é"), r#""a \"b\" \\ é""#);
        assert_eq!(quoted("\n\x07\x1b\x7f\u{a0}"), r#""\n\a\x1b\x7f\u00a0""#);
    }

    #[test]
    fn controls_and_broken_utf8_are_escaped() {
        assert_eq!(printable("naïve".as_bytes()), "naïve");
        assert_eq!(printable("a\u{202e}b".as_bytes()), "a\\u{202e}b");
        assert_eq!(printable(b"a\x1b[31m\n\xff"), "a\\u{1b}[31m\\n\\xff");
        assert_eq!(printable_lines("a\x1b[31m\n\tb"), "a\\u{1b}[31m\n\tb");
    }
}
