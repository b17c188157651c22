//! What the real nerdctl prints, held back until it is known whether it is to be shown.
//!
//! Its standard error is a terminal where ours is one, as its lines look different there.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::system::output::write_all;
use crate::system::signals;
use crate::system::terminal::raw_terminal;

/// How long what a command has started is listened to after a signal asked us to stop.
const LAST_WORDS: Duration = Duration::from_millis(500);
const POLL_PAUSE: Duration = Duration::from_millis(1);
/// The letters of a level that logrus shows on a terminal.
const LEVEL: usize = 4;

/// Reading what a command prints.
pub struct Reading {
    output: JoinHandle<Vec<u8>>,
    errors: JoinHandle<Vec<u8>>,
}

/// All that it printed.
pub struct Output {
    output: Vec<u8>,
    pub errors: Vec<u8>,
}

impl Reading {
    /// Has `command`, which is not yet started, print to us.
    pub fn of(command: &mut Command) -> Result<Self> {
        let (output, their_output) = io::pipe().context("making a pipe")?;
        let (errors, their_errors) = end_for_errors()?;
        command.stdout(their_output).stderr(their_errors);
        Ok(Self {
            output: read_in_thread(output)?,
            errors: read_in_thread(File::from(errors))?,
        })
    }

    /// To be called when the command has ended. What it has started may go on printing; that is waited for as well, unless
    /// a signal asks us to stop.
    pub fn finish(self) -> Output {
        Output {
            output: joined(self.output),
            errors: joined(self.errors),
        }
    }
}

/// A machine may have no terminals to give.
fn end_for_errors() -> Result<(OwnedFd, OwnedFd)> {
    if io::stderr().is_terminal()
        && let Ok(terminal) = raw_terminal()
    {
        return Ok(terminal);
    }
    let (reader, writer) = io::pipe().context("making a pipe")?;
    Ok((reader.into(), writer.into()))
}

fn read_in_thread(source: impl Read + Send + 'static) -> Result<JoinHandle<Vec<u8>>> {
    thread::Builder::new()
        .name("output".into())
        .spawn(move || read_all(source))
        .context("starting a thread to read what the real nerdctl prints")
}

fn joined(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    let mut patience = LAST_WORDS;
    while !reader.is_finished() && !patience.is_zero() {
        thread::sleep(POLL_PAUSE);
        if signals::check().is_err() {
            patience = patience.saturating_sub(POLL_PAUSE);
        }
    }
    if !reader.is_finished() {
        return Vec::new();
    }
    // It only reads, so it has not panicked.
    reader.join().unwrap_or_default()
}

/// Without the sequences that set colours (ECMA-48, 8.3.117).
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let first = parts.next().unwrap_or_default();
    let others = parts.map(|part| part.split_once('m').map_or(part, |(_, text)| text));
    std::iter::once(first).chain(others).collect()
}

/// A message with a blank or the like in it is in quotes, as Go's `%q` makes them, which JSON reads but for rare escapes.
fn of_a_log(line: &str) -> Option<String> {
    let (_, message) = line.strip_prefix("time=")?.split_once(" msg=")?;
    if !message.starts_with('"') {
        return message.split(' ').next().map(str::to_owned);
    }
    let mut words = serde_json::Deserializer::from_str(message).into_iter();
    words.next()?.ok()
}

fn of_a_terminal(line: &str) -> Option<String> {
    let (level, rest) = line
        .split_once('[')
        .filter(|(level, _)| level.len() == LEVEL)?;
    let (seconds, message) = rest.split_once(']')?;
    let is_time = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    let is_level = level.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_time && is_level).then(|| message.trim().to_owned())
}

/// What came until the other end was closed; a terminal says that by an error.
fn read_all(mut source: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = source.read_to_end(&mut bytes);
    bytes
}

impl Output {
    /// The last line of its errors, without what logrus (`TextFormatter`) puts around a message: `FATA[0000] ` and colours on
    /// a terminal, else `time=… level=… msg=…`.
    pub fn last_words(&self) -> Option<String> {
        let said = String::from_utf8_lossy(&self.errors);
        let line = said.lines().rfind(|line| !line.trim().is_empty())?;
        let line = without_colours(line.trim());
        let message = of_a_log(&line).or_else(|| of_a_terminal(&line));
        Some(message.unwrap_or(line))
    }

    /// Prints it to our own standard output and error.
    ///
    /// # Errors
    /// Standard output takes no more of it.
    pub fn print(&self) -> Result<()> {
        // There is no better place to complain of standard error.
        let _ = write_all(io::stderr().as_fd(), &self.errors);
        write_all(io::stdout().as_fd(), &self.output)
            .map_err(|error| error.context("write /dev/stdout"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_words(errors: &str) -> Option<String> {
        let output = Output {
            output: Vec::new(),
            errors: errors.as_bytes().to_vec(),
        };
        output.last_words()
    }

    #[test]
    fn the_last_words_are_the_message_alone() {
        let some = |text: &str| Some(text.to_owned());
        let plain = "time=\"2026-11-27T13:00:00Z\" level=fatal msg=\"no \\\"x\\\" here\"\n";
        assert_eq!(last_words(plain), some("no \"x\" here"));
        let more = "time=\"now\" level=fatal msg=\"a msg=b\" error=\"c\"\n";
        assert_eq!(last_words(more), some("a msg=b"));
        let short = "time=\"2026-11-27T13:00:00Z\" level=fatal msg=denied\n";
        assert_eq!(last_words(short), some("denied"));
        let terminal = "warning\r\n\x1b[31mFATA\x1b[0m[1012] no msg=luck [0]        \r\n\r\n";
        assert_eq!(last_words(terminal), some("no msg=luck [0]"));
        assert_eq!(
            last_words("a script's own [0] word\n"),
            some("a script's own [0] word")
        );
        assert_eq!(last_words("\n"), None);
    }
}
