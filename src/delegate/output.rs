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

/// What came until the other end was closed; a terminal says that by an error.
fn read_all(mut source: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = source.read_to_end(&mut bytes);
    bytes
}

impl Output {
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
