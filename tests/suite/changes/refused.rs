//! Changes that are not made: the container runs on and nothing is left behind.

use super::IMAGE;
use crate::{FREEZEFRAME, copy_program};
use harness::{Commit, Container, Daemon, Freezeframe, Leftovers, Result, TempDir, outcome};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What makes no sense, and what is said of it.
const SENSELESS: [(&str, &str); 20] = [
    ("ENV", "ENV needs a value"),
    ("ENV name", "name lacks its value"),
    ("ENV a=b c", "c lacks a ="),
    ("ENV a='b", "a single quote is left open"),
    ("ENV a=${b", "a substitution lacks its '}'"),
    ("EXPOSE http", "\"http\" is no port from 0 to 65535"),
    ("EXPOSE 80/icmp", "none of tcp, udp and sctp"),
    ("LABEL =x", "a name is empty"),
    ("ONBUILD FROM x", "FROM cannot be made to wait for a build"),
    ("USER", "USER needs a value"),
    ("VOLUME []", "VOLUME needs a value"),
    ("WORKDIR", "WORKDIR needs a value"),
    ("STOPSIGNAL SIGNOPE", "there is no signal \"SIGNOPE\""),
    ("HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no command"),
    ("HEALTHCHECK --interval=5 CMD x", "--interval=5: not a time"),
    ("CMD --flag", "CMD knows no flag --flag"),
    // Only with the base image's variables.
    ("WORKDIR $none", "a path is empty"),
    ("EXPOSE $GREETING", "\"hello\" is no port"),
    ("STOPSIGNAL $GREETING", "there is no signal \"hello there\""),
    ("USER ${none:?is missing}", "none: is missing"),
];

#[test]
fn what_makes_no_sense_is_named_and_changes_nothing() -> Result {
    unchanged(|freezeframe, container| {
        for (change, message) in SENSELESS {
            let flags = ["-c", "USER somebody", "-c", change];
            let commit = freezeframe.commit(container, IMAGE, &flags)?;
            expect_error(&commit, &format!("--change {change:?}: "));
            expect_error(&commit, message);
        }
        Ok(())
    })
}

#[test]
fn what_the_real_nerdctl_would_refuse_is_not_delegated() -> Result {
    unchanged(|freezeframe, container| {
        for (flags, directive, reason) in [
            (
                &["--estargz", "-c", "USER me"][..],
                "USER",
                "--estargz layers",
            ),
            (
                &["--zstdchunked", "-c", "CMD [\"a\"]", "-c", "cmd b"],
                "cmd",
                "--zstdchunked layers",
            ),
        ] {
            let commit = freezeframe.commit(container, IMAGE, flags)?;
            expect_error(
                &commit,
                &format!("--change with {directive:?} cannot be delegated"),
            );
            expect_error(&commit, reason);
            assert_eq!(commit.report["strategy"], "delegate");
        }
        Ok(())
    })
}

#[test]
fn a_strategy_of_delegating_refuses_too() -> Result {
    unchanged(|_, container| {
        let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
        let freezeframe = freezeframe.with("FREEZEFRAME_STRATEGY", "delegate");
        let commit = freezeframe.commit(container, IMAGE, &["-c", "ENV a=b"])?;
        expect_error(&commit, "--change with \"ENV\" cannot be delegated");
        expect_error(&commit, "FREEZEFRAME_STRATEGY=delegate");
        Ok(())
    })
}

/// Their commits are the real nerdctl's: one that would refuse all is none that is asked.
#[test]
fn other_users_than_root_are_refused_in_our_words() -> Result {
    let setting = OtherUser::new()?;
    let command = |change| setting.command(&["commit", "-c", change, "a", "b"]);
    let call = |change| outcome(&mut command(change));
    let passed_on = call("CMD [\"a\"]")?.succeeded()?.text();
    assert_eq!(passed_on, "commit -c CMD [\"a\"] a b");
    let refused = call("ENV a=b")?;
    assert_eq!(refused.status.code(), Some(1), "{}", refused.describe());
    let said = refused.error_text();
    assert!(
        said.contains("cannot be delegated") && said.contains("another user than root"),
        "{said}"
    );
    let direct = outcome(command("CMD [\"a\"]").env("FREEZEFRAME_STRATEGY", "direct"))?;
    assert_eq!(direct.status.code(), Some(1), "{}", direct.describe());
    assert!(direct.error_text().contains("which only root can do"));
    Ok(())
}

/// As what they are given of the real nerdctl.
#[test]
fn other_users_than_root_get_their_report() -> Result {
    let setting = OtherUser::new()?;
    let path = setting.folder.path().join("report.json");
    let mut command = setting.command(&["commit", "a", "b", "--report"]);
    let passed_on = outcome(command.arg(&path))?;
    assert_eq!(passed_on.succeeded()?.text(), "commit a b");
    let report: Value = serde_json::from_slice(&fs::read(&path)?)?;
    assert_eq!(report["result"], "ok");
    assert_eq!(report["strategy"], "delegate");
    assert_eq!(report["reason"], "called by another user than root");
    Ok(())
}

/// A user who is not root, and has an echo for the real nerdctl.
struct OtherUser {
    folder: TempDir,
}

impl OtherUser {
    fn new() -> Result<Self> {
        let folder = TempDir::new()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777))?;
        let program = folder.path().join("freezeframe");
        copy_program(&program)?;
        symlink(&program, folder.path().join("nerdctl"))?;
        Ok(Self { folder })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.folder.path().join("nerdctl"));
        command
            .args(words)
            .current_dir("/")
            .env("FREEZEFRAME_NERDCTL", "/bin/echo");
        command.uid(65534).gid(65534);
        command
    }
}

/// Nothing that `attempt` does to a running container has any effect.
fn unchanged(attempt: impl FnOnce(&Freezeframe, &Container) -> Result) -> Result {
    let daemon = Daemon::start()?;
    let container = daemon.run(&["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&container)?;
    attempt(&daemon.freezeframe(FREEZEFRAME)?, &container)?;
    before.assert_unchanged(&Leftovers::now(&container)?);
    assert_eq!(container.output(&["echo", "alive"])?, "alive");
    Ok(())
}

fn expect_error(commit: &Commit, message: &str) {
    let Commit { outcome, report } = commit;
    assert_eq!(outcome.status.code(), Some(1), "{}", outcome.describe());
    assert!(outcome.stdout.is_empty(), "{}", outcome.describe());
    let said = outcome.error_text();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(report["result"], "error", "{report:#}");
    let reported = report["error"].as_str().unwrap_or_default();
    assert!(reported.contains(message), "{report:#}\n{message}");
    assert!(said.contains(&format!("{reported:?}")), "{said}");
}
