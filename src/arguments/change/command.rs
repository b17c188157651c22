//! CMD and ENTRYPOINT: a JSON array of words, or a line for the shell.

use super::stock;
use super::words::Instruction;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    Exec(Vec<String>),
    Shell(String),
}

/// What an instruction sets; null sets nothing.
///
/// # Errors
/// There is a flag, nothing at all, or what was meant as JSON and is none.
pub fn read(line: &str, instruction: &Instruction) -> Result<Option<CommandLine>, String> {
    instruction
        .expect_no_flags()
        .map_err(|problem| super::wrong(line, &problem))?;
    let text = instruction.text;
    match stock::array(text) {
        Ok(words) => Ok(words.map(CommandLine::Exec)),
        Err(_) if text.is_empty() || is_meant_as_json(text) => Err(stock::malformed(line)),
        Err(_) => Ok(Some(CommandLine::Shell(text.to_owned()))),
    }
}

/// A shell's `[` is followed by a word without quotes, and seldom closed at the very end.
fn is_meant_as_json(text: &str) -> bool {
    text.strip_prefix('[')
        .is_some_and(|rest| rest.ends_with(']') || rest.trim_start().starts_with('"'))
}
