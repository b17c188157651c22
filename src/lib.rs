//! freezeframe: a stand-in for nerdctl whose `commit` freezes a container for milliseconds.
//!
//! This file decides which of five things a command line asks for. Everything but a commit is out of here after a look
//! at the words alone. It is a library only so that parts of it can be fuzzed: nothing but `run` can be seen from outside.

mod arguments;
mod capture;
mod command_line;
mod commit;
mod commit_help;
mod containerd;
mod delegate;
mod digest;
mod direct;
mod fetch;
mod freeze;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod image;
mod last_words;
mod layer;
mod locks;
mod log;
mod passthrough;
mod plan;
mod prepared;
mod report;
mod settings;
mod stages;
mod system;

use std::ffi::OsString;
use std::io::{stderr, stdout};
use std::os::fd::AsFd;

use anyhow::{Context, Result, anyhow, bail, ensure};

use clap::error::ErrorKind;

use arguments::{CommitArguments, Invocation, Refusal};
use passthrough::RealNerdctl;
use settings::{ROOTLESS, Strategy};
use system::output::write_all;
use system::signals;

/// Does what the command line `words` asks for, the program's name first; returns the exit code.
#[must_use]
pub fn run(words: impl Iterator<Item = OsString>) -> i32 {
    match Invocation::of(words) {
        Invocation::PassThrough(words) => pass_through(&words),
        Invocation::Commit(arguments) if settings::is_rootless() => rootless_commit(&arguments),
        Invocation::Commit(arguments) => commit::run(&arguments),
        Invocation::Refused(refusal) => refuse(&refusal),
        Invocation::CommitHelp { name, words } => help_of_commit(name, &words),
        Invocation::Own(words) => own(words),
    }
}

/// Becomes the real nerdctl; returns only where that fails.
fn pass_through(words: &[OsString]) -> i32 {
    let failure = match RealNerdctl::find() {
        Ok(Some(real)) => real.become_it(words).map(|never| match never {}),
        Ok(None) => Err(anyhow!(
            "there is no nerdctl in PATH but freezeframe: install it, or set FREEZEFRAME_NERDCTL to it"
        )),
        Err(error) => Err(error),
    };
    fail(failure, passthrough::NOT_FOUND)
}

/// The real nerdctl has its own words for a mistake that it would find; without one, ours are the same.
fn refuse(refusal: &Refusal) -> i32 {
    match RealNerdctl::find() {
        Ok(Some(_)) | Err(_) if refusal.is_stocks => pass_through(&refusal.words),
        _ => commit::refuse(&refusal.message, refusal.report.as_deref()),
    }
}

/// The real nerdctl takes itself into the user's own namespaces.
fn rootless_commit(arguments: &CommitArguments) -> i32 {
    let report = arguments.report.as_deref();
    match refuse_rootless(arguments) {
        Err(error) => commit::refuse(&error.to_string(), report),
        // Who asked for a report waits for the end.
        Ok(()) if settings::report_path(report).is_some() => commit::run(arguments),
        Ok(()) => pass_through(&arguments.words),
    }
}

fn refuse_rootless(arguments: &CommitArguments) -> Result<()> {
    let max_pause = settings::max_pause(arguments.max_pause)?;
    if let Some(refusal) = arguments.refuse_delegation(ROOTLESS, max_pause) {
        bail!(refusal);
    }
    ensure!(
        Strategy::from_environment()? != Strategy::Direct,
        "FREEZEFRAME_STRATEGY is direct, which only root can do: {ROOTLESS}"
    );
    Ok(())
}

fn help_of_commit(name: &str, words: &[OsString]) -> i32 {
    let real = match RealNerdctl::find() {
        Ok(None) => {
            print(&commit_help::text(name));
            return 0;
        }
        Ok(Some(real)) => real,
        Err(_) => return pass_through(words),
    };
    let run = || format!("running {}", real.path().display());
    let ended =
        signals::hear_of_children().and_then(|()| real.command(words).status().with_context(run));
    match ended {
        Ok(status) if status.success() => {
            print(commit_help::ADDED);
            0
        }
        Ok(status) => commit::exit_code(status),
        Err(error) => fail(Err(error), 1),
    }
}

fn print(text: &str) {
    // Nobody reads it where it cannot be printed.
    let _ = write_all(stdout().as_fd(), text.as_bytes());
}

/// The commands under our own name but `commit` and `nerdctl`, which were recognised before.
fn own(words: Vec<OsString>) -> i32 {
    if words
        .first()
        .is_some_and(|word| word == freeze::watchdog::COMMAND)
    {
        return fail(freeze::watchdog::run(&words[1..]), 1);
    }
    let line = std::iter::once("freezeframe".into()).chain(words);
    match command_line::command().try_get_matches_from(line) {
        Ok(_) => 0,
        Err(error) => {
            // Nobody reads it where it cannot be printed.
            let _ = error.print();
            if matches!(
                error.kind(),
                ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument
            ) {
                let hint = "`freezeframe nerdctl` takes all that nerdctl takes.\n";
                let _ = write_all(stderr().as_fd(), hint.as_bytes());
            }
            i32::from(error.use_stderr())
        }
    }
}

fn fail(outcome: Result<()>, code: i32) -> i32 {
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            log::fatal(&format!("{error:#}"));
            code
        }
    }
}
