//! What stock nerdctl takes of `--change`, and its words for the rest (nerdctl, pkg/cmd/container/commit.go).

use crate::system::text::quoted;

pub const EMPTY: &str = "received an empty value in change flag";
const PANIC: &str = "runtime error: index out of range [0] with length 0";
pub const SECOND_COMMAND: &str =
    "multiple change flags supplied for the CMD directive, overriding with last supplied";
pub const SECOND_ENTRYPOINT: &str =
    "multiple change flags supplied for the Entrypoint directive, overriding with last supplied";

pub fn unknown(directive: &str) -> String {
    format!("unknown change directive {}", quoted(directive))
}

pub fn malformed(value: &str) -> String {
    format!("malformed json in change flag value {}", quoted(value))
}

/// A JSON array of words as Go decodes it: null is no array, and an empty string within one.
pub fn array(text: &str) -> Result<Option<Vec<String>>, serde_json::Error> {
    let words: Option<Vec<Option<String>>> = serde_json::from_str(text)?;
    Ok(words.map(|words| words.into_iter().map(Option::unwrap_or_default).collect()))
}

/// The first word of a value.
pub fn directive(value: &str) -> Option<String> {
    value.split_whitespace().next().map(str::to_owned)
}

/// # Errors
/// What stock says to a value that it refuses.
pub fn check(value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err(EMPTY.to_owned());
    }
    let directive = directive(value).ok_or(PANIC)?;
    if !matches!(directive.as_str(), "CMD" | "ENTRYPOINT") {
        return Err(unknown(&directive));
    }
    let text = value.strip_prefix(&directive).unwrap_or_default();
    array(text).map(drop).map_err(|_| malformed(value))
}

/// A value that stock takes may have line ends, but only between its words.
pub fn on_one_line(value: &str) -> String {
    match check(value) {
        Ok(()) => value.replace('\n', " "),
        Err(_) => value.to_owned(),
    }
}
