//! What the real nerdctl prints, held back until it is known whether it is to be shown.
//!
//! Its standard error is a terminal where ours is one, as its lines look different there.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::system::signals;
use crate::system::terminal::raw_terminal;

const LAST_WORDS: Duration = Duration::from_millis(500);
const POLL_PAUSE: Duration = Duration::from_millis(1);

/// Where a command's output will come from.
pub struct Capture {
    errors: OwnedFd,
}

/// Reading what it prints.
pub struct Reading {
    output: Option<JoinHandle<Vec<u8>>>,
    errors: JoinHandle<Vec<u8>>,
}

/// All that it printed.
pub struct Output {
    output: Vec<u8>,
    pub errors: Vec<u8>,
}

impl Capture {
    /// Has `command`, which is not yet started, print to us.
    pub fn of(command: &mut Command) -> Result<Self> {
        let (errors, theirs): (OwnedFd, OwnedFd) = if io::stderr().is_terminal() {
            raw_terminal()?
        } else {
            let (reader, writer) = io::pipe().context("making a pipe")?;
            (reader.into(), writer.into())
        };
        command.stdout(Stdio::piped()).stderr(theirs);
        Ok(Self { errors })
    }

    pub fn read(self, child: &mut Child) -> Reading {
        let errors = File::from(self.errors);
        Reading {
            output: child
                .stdout
                .take()
                .map(|output: ChildStdout| std::thread::spawn(move || read_all(output))),
            errors: std::thread::spawn(move || read_all(errors)),
        }
    }
}

impl Reading {
    /// To be called when the command has ended. What it has started may go on printing; that is waited for as well, unless
    /// a signal asks us to stop.
    pub fn finish(self) -> Output {
        Output {
            output: self.output.map_or_else(Vec::new, joined),
            errors: joined(self.errors),
        }
    }
}

fn joined(reader: JoinHandle<Vec<u8>>) -> Vec<u8> {
    let mut patience = LAST_WORDS;
    while !reader.is_finished() && !patience.is_zero() {
        std::thread::sleep(POLL_PAUSE);
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
    pub fn print(&self) {
        // A reader that has gone has seen enough.
        let _ = io::stderr().write_all(&self.errors);
        let _ = io::stdout().write_all(&self.output);
        let _ = io::stdout().flush();
    }
}
