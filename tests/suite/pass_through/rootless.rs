//! Called by another user than root, every commit is the real nerdctl's, which takes itself into the user's own
//! namespaces; and so it is within these.

use super::{SHOW_WORDS, bare, split};
use crate::copy_program;
use harness::{Outcome, Result, TempDir, outcome};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Nobody's, on every Linux.
const USER: u32 = 65534;
const WORDS: [&str; 6] = ["--debug=false", "commit", "-m", "a  b", "some", "image:1"];

/// A folder of the user's, with a copy of our program and what plays the real nerdctl.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Result<Self> {
        let home = Self {
            folder: TempDir::new()?,
        };
        chown(home.folder.path(), Some(USER), Some(USER))?;
        copy_program(&home.path("nerdctl"))?;
        fs::write(home.path("real"), SHOW_WORDS)?;
        for program in ["nerdctl", "real"] {
            fs::set_permissions(home.path(program), fs::Permissions::from_mode(0o755))?;
        }
        Ok(home)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `command` in whose environment everything leads here.
    fn lead<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        bare(command)
            .env("FREEZEFRAME_NERDCTL", self.path("real"))
            .env("CONTAINERD_ADDRESS", self.path("no.sock"))
            .current_dir(self.folder.path())
    }

    /// Our program as the user's, with these words.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("nerdctl"));
        self.lead(&mut command).args(words).uid(USER).gid(USER);
        command
    }

    fn report(&self) -> Result<Value> {
        Ok(serde_json::from_slice(&fs::read(self.path("report"))?)?)
    }
}

fn expect_words(seen: &Outcome) {
    let expected = WORDS.map(str::as_bytes);
    assert_eq!(split(&seen.stdout), expected, "{}", seen.describe());
}

fn expect_refusal(seen: &Outcome, wanted: &str) {
    let described = seen.describe();
    assert_eq!(seen.status.code(), Some(1), "{described}");
    assert!(seen.stdout.is_empty(), "{described}");
    let said = seen.error_text();
    let is_said = said.contains(wanted) && said.contains("called by another user than root");
    assert!(is_said && said.lines().count() == 1, "{described}");
}

#[test]
fn a_commit_by_another_user_is_the_real_nerdctls_word_for_word() -> Result {
    let home = Home::new()?;
    expect_words(&outcome(&mut home.command(&WORDS))?.succeeded()?);
    let with_report = [&WORDS[..2], &["--report", "report"], &WORDS[2..]].concat();
    expect_words(&outcome(&mut home.command(&with_report))?.succeeded()?);
    let report = home.report()?;
    assert_eq!(report["strategy"], "delegate");
    assert_eq!(report["reason"], "called by another user than root");
    assert_eq!(report["result"], "ok");
    Ok(())
}

/// What the container does meanwhile is not for us to see.
#[test]
fn a_commit_by_another_user_is_tried_once() -> Result {
    let home = Home::new()?;
    let script = "#!/bin/sh\necho tried >>tries; echo 'archive/tar: write too long' >&2; exit 1\n";
    fs::write(home.path("real"), script)?;
    let with_report = [&WORDS[..2], &["--report", "report"], &WORDS[2..]].concat();
    let seen = outcome(&mut home.command(&with_report))?.failed()?;
    assert!(seen.error_text().contains("write too long"));
    assert_eq!(fs::read_to_string(home.path("tries"))?, "tried\n");
    Ok(())
}

#[test]
fn what_only_root_can_do_is_refused_to_another_user() -> Result {
    let home = Home::new()?;
    let bounded = [&WORDS[..2], &["--max-pause=1s"], &WORDS[2..]].concat();
    expect_refusal(&outcome(&mut home.command(&bounded))?, "--max-pause");
    let mut command = home.command(&WORDS);
    let direct = command
        .env("FREEZEFRAME_STRATEGY", "direct")
        .env("FREEZEFRAME_REPORT", "report");
    let seen = outcome(direct)?;
    expect_refusal(&seen, "FREEZEFRAME_STRATEGY");
    let reported = home.report()?["error"].to_string();
    assert!(reported.contains("FREEZEFRAME_STRATEGY"), "{reported}");
    Ok(())
}

/// `RootlessKit`, which gives the user namespaces, says so in the environment of all that it starts.
#[test]
fn a_commit_within_a_users_own_namespaces_is_the_real_nerdctls_and_roots_own_is_not() -> Result {
    let home = Home::new()?;
    let within = |command: &mut Command| {
        let command = home.lead(command).arg(home.path("nerdctl")).args(WORDS);
        outcome(command.env("ROOTLESSKIT_STATE_DIR", "/run/user/0/rootless"))
    };
    let mut unshare = Command::new("unshare");
    expect_words(&within(unshare.args(["--user", "--map-root-user"]))?.succeeded()?);
    let mut env = Command::new("env");
    let seen = within(env.env("FREEZEFRAME_STRATEGY", "direct"))?.failed()?;
    let said = seen.error_text();
    assert!(said.contains("cannot access containerd socket"), "{said}");
    Ok(())
}
