//! The lines of a Dockerfile (Dockerfile reference, "Format"; buildkit, `parser.go`): comments and blank lines left out,
//! continued lines joined.

use std::iter::Peekable;

/// Instructions as typed, one a line, and the character that escapes in them.
pub struct Dockerfile {
    pub lines: Vec<String>,
    pub escape: char,
}

/// # Errors
/// A parser directive makes no sense.
pub fn read(text: &str) -> Result<Dockerfile, String> {
    let mut source = text
        .split('\n')
        .map(|line| line.trim_end_matches('\r'))
        .peekable();
    let escape = escape_directive(&mut source)?;
    let mut lines = Vec::new();
    while let Some(line) = source.next() {
        let line = line.trim_start();
        if !is_left_out(line) {
            lines.push(joined(line, &mut source, escape));
        }
    }
    Ok(Dockerfile { lines, escape })
}

fn is_left_out(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// A line, and the ones that it is continued on.
fn joined<'t>(first: &str, rest: &mut impl Iterator<Item = &'t str>, escape: char) -> String {
    let (part, mut is_continued) = without_continuation(first, escape);
    let mut joined = part.to_owned();
    while is_continued && let Some(line) = rest.next() {
        if is_left_out(line) {
            continue;
        }
        let (part, more) = without_continuation(line, escape);
        joined.push_str(part);
        is_continued = more;
    }
    joined
}

/// A single escape at the end of a line continues it on the next one.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(start) if !start.ends_with(escape) => (start, true),
        _ => (line, false),
    }
}

/// The parser directives before anything else. Of those that Docker knows only `escape` matters to a commit.
fn escape_directive<'t>(
    lines: &mut Peekable<impl Iterator<Item = &'t str>>,
) -> Result<char, String> {
    let mut seen = Vec::new();
    let mut escape = '\\';
    while let Some((name, value)) = lines.peek().and_then(|line| parser_directive(line)) {
        lines.next();
        if seen.contains(&name) {
            return Err(format!("only one {name} parser directive can be used"));
        }
        match (name.as_str(), value) {
            ("escape", "\\") => escape = '\\',
            ("escape", "`") => escape = '`',
            ("escape", _) => return Err(format!("the escape {value:?} is neither \\ nor `")),
            _ => {}
        }
        seen.push(name);
    }
    Ok(escape)
}

fn parser_directive(line: &str) -> Option<(String, &str)> {
    let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim().to_lowercase(), value.trim());
    let is_known = ["check", "escape", "syntax"].contains(&name.as_str());
    (is_known && !value.is_empty()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        read(text).unwrap().lines
    }

    #[test]
    fn an_escape_at_the_end_of_a_line_continues_it() {
        assert_eq!(
            lines("ENV a=1 \\\n  b=2\nUSER me"),
            ["ENV a=1   b=2", "USER me"]
        );
        assert_eq!(lines("ENV a=1 \\ \t\r\nb=2"), ["ENV a=1 b=2"]);
        assert_eq!(lines("CMD a\\\\\nCMD b"), ["CMD a\\\\", "CMD b"]);
        assert_eq!(lines("CMD a\\"), ["CMD a"]);
    }

    #[test]
    fn comments_and_blank_lines_are_left_out_even_of_a_continued_line() {
        assert_eq!(lines("# one\n\n  # two\n  USER me\n"), ["USER me"]);
        assert_eq!(lines("ENV a=1 \\\n# note\n\n  b=2"), ["ENV a=1   b=2"]);
    }

    #[test]
    fn the_escape_can_be_another_character() {
        let file = read("# syntax=x\n# Escape = `\nCMD a `\nb\\").unwrap();
        assert_eq!(
            (file.escape, file.lines),
            ('`', vec!["CMD a b\\".to_owned()])
        );
        assert_eq!(read("USER me\n# escape=`").unwrap().escape, '\\');
        assert!(read("# escape=x").is_err());
        assert!(read("# escape=`\n# escape=`").is_err());
    }
}
