//! Which program is the real nerdctl: the named one, else the first in PATH that is not
//! us; and what is said where there is none. Nothing of a daemon matters to that.

use super::{SHOW_WORDS, Setting, bare};
use crate::{FREEZEFRAME, copy_program};
use harness::{Result, outcome};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

#[test]
fn the_named_program_counts_more_than_path() -> Result {
    let setting = Setting::new()?;
    let other = setting.program_in_path("other", "#!/bin/sh\necho from PATH\n")?;
    let mut command = setting.nerdctl(Path::new("/bin/echo"));
    let seen = outcome(command.arg("named").env("PATH", &other))?.succeeded()?;
    assert_eq!(seen.text(), "named");
    let mut command = setting.without_real();
    let seen = outcome(command.arg("named").env("PATH", &other))?.succeeded()?;
    assert_eq!(seen.text(), "from PATH");
    Ok(())
}

/// As a shell and execvp(3) do.
#[test]
fn a_script_that_names_no_interpreter_is_run_by_a_shell() -> Result {
    let setting = Setting::new()?;
    let real = setting.script("real", b"echo from a script, \"$@\"\n")?;
    let seen = outcome(setting.nerdctl(&real).arg("two words"))?.succeeded()?;
    assert_eq!(seen.text(), "from a script, two words");
    for broken in [&b""[..], b"\x7fELF\x02\x01\x01\0echo\n"] {
        let broken = setting.script("broken", broken)?;
        let seen = outcome(&mut setting.nerdctl(&broken))?;
        assert_eq!(seen.status.code(), Some(127), "{}", seen.describe());
        let said = seen.error_text();
        assert!(said.contains("Exec format error"), "{said}");
    }
    Ok(())
}

#[test]
fn without_proc_the_real_one_is_known_as_a_go_program() -> Result {
    let setting = Setting::new()?;
    let script = "#!/bin/sh\necho \"$@\"\nexit\n\x04\0\0\0Go\0\0";
    let real = setting.program_in_path("real", script)?;
    let links = setting.path_folder("links")?;
    symlink(FREEZEFRAME, links.join("nerdctl"))?;
    let hidden = "mount -t tmpfs none /proc && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", hidden, "sh"]);
    command.arg(links.join("nerdctl")).arg("ps");
    let own = std::env::var_os("PATH").unwrap_or_default();
    let folders = [links, real].into_iter().chain(std::env::split_paths(&own));
    let path = std::env::join_paths(folders)?;
    let seen = outcome(bare(&mut command).env("PATH", path))?.succeeded()?;
    assert_eq!(seen.text(), "ps");
    Ok(())
}

#[test]
fn a_name_without_a_slash_is_looked_for_in_path_and_nowhere_else() -> Result {
    let setting = Setting::new()?;
    let folder = setting.program_in_path("real", "#!/bin/sh\necho from PATH\n")?;
    let planted = setting.program_in_path("planted", "#!/bin/sh\necho planted\n")?;
    for word in ["ps", "commit"] {
        let call = |path: &Path| {
            let mut command = setting.nerdctl(Path::new("nerdctl"));
            command.arg(word).current_dir(&planted).env("PATH", path);
            outcome(&mut command)
        };
        assert_eq!(call(&folder)?.succeeded()?.text(), "from PATH");
        let refused = call(Path::new("/nonexistent"))?;
        assert!(!refused.status.success(), "{}", refused.describe());
        let said = refused.error_text();
        assert!(
            said.contains("FREEZEFRAME_NERDCTL names nerdctl, which is not in PATH"),
            "{said}"
        );
    }
    Ok(())
}

#[test]
fn a_path_that_leads_nowhere_is_named_with_the_variable() -> Result {
    let setting = Setting::new()?;
    for words in [&["ps"][..], &["commit", "--help"]] {
        let mut command = setting.nerdctl(Path::new("/nonexistent/nerdctl"));
        let seen = outcome(command.args(words))?;
        assert_eq!(seen.status.code(), Some(127), "{}", seen.describe());
        let said = seen.error_text();
        let wanted = "FREEZEFRAME_NERDCTL names /nonexistent/nerdctl, which cannot be run";
        assert!(said.contains(wanted), "{said}");
    }
    Ok(())
}

#[test]
fn our_own_links_in_path_are_passed_over() -> Result {
    let setting = Setting::new()?;
    let own = Path::new(FREEZEFRAME);
    let (soft, chained, hard) = (
        setting.path_folder("soft")?,
        setting.path_folder("chained")?,
        setting.path_folder("hard")?,
    );
    symlink(own, soft.join("nerdctl"))?;
    symlink(soft.join("nerdctl"), chained.join("nerdctl"))?;
    fs::hard_link(own, hard.join("nerdctl"))?;
    let real = setting.program_in_path("real", SHOW_WORDS)?;
    let path = std::env::join_paths([&chained, &soft, &hard, &real])?;
    for folder in [&soft, &chained, &hard] {
        let mut command = Command::new(folder.join("nerdctl"));
        let command = bare(&mut command).env("PATH", &path).arg("hello");
        let seen = outcome(command)?.succeeded()?;
        assert_eq!(seen.stdout, b"hello\0", "as {}", folder.display());
        let seen = outcome(command.env("FREEZEFRAME_NERDCTL", "nerdctl"))?.succeeded()?;
        assert_eq!(seen.stdout, b"hello\0", "by name, as {}", folder.display());
    }
    Ok(())
}

#[test]
fn two_stand_ins_do_not_start_each_other_for_ever() -> Result {
    let setting = Setting::new()?;
    let folders = [setting.path_folder("one")?, setting.path_folder("two")?];
    for folder in &folders {
        copy_program(&folder.join("nerdctl"))?;
    }
    let path = std::env::join_paths(&folders)?;
    let mut command = Command::new(folders[0].join("nerdctl"));
    let seen = outcome(bare(&mut command).env("PATH", &path).arg("ps"))?;
    assert_eq!(seen.status.code(), Some(127), "{}", seen.describe());
    let text = seen.error_text();
    assert!(text.contains("leads back to freezeframe"), "{text}");
    assert!(text.contains("FREEZEFRAME_NERDCTL"), "no remedy: {text}");
    Ok(())
}

#[test]
fn without_a_real_nerdctl_one_sentence_says_so() -> Result {
    let setting = Setting::new()?;
    let empty = setting.path_folder("empty")?;
    for words in [&["ps"][..], &[], &["container", "ls"]] {
        let seen = outcome(setting.without_real().args(words).env("PATH", &empty))?;
        assert_eq!(seen.status.code(), Some(127), "{}", seen.describe());
        let text = seen.error_text();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("there is no nerdctl in PATH"), "{text}");
    }
    Ok(())
}

#[test]
fn a_named_program_that_is_not_there_is_named_in_the_error() -> Result {
    let setting = Setting::new()?;
    let seen = outcome(setting.nerdctl(Path::new("/nowhere/nerdctl")).arg("ps"))?;
    assert_eq!(seen.status.code(), Some(127), "{}", seen.describe());
    let text = seen.error_text();
    assert!(text.contains("/nowhere/nerdctl"), "{text}");
    Ok(())
}

#[test]
fn nothing_of_a_daemon_matters_to_what_is_passed_on() -> Result {
    let setting = Setting::new()?;
    let broken = setting.file("nerdctl.toml", b"[broken")?;
    let mut command = setting.nerdctl(Path::new("/bin/echo"));
    command
        .arg("passed on")
        .env("NERDCTL_TOML", broken)
        .env("CONTAINERD_ADDRESS", "/nowhere/socket")
        .env("FREEZEFRAME_STRATEGY", "nonsense")
        .env("FREEZEFRAME_REPORT", setting.folder.path().join("report"));
    let seen = outcome(&mut command)?.succeeded()?;
    assert_eq!(seen.text(), "passed on");
    assert_eq!(seen.error_text(), "");
    assert!(!setting.folder.path().join("report").exists());
    Ok(())
}

/// As a daemon's children may inherit it.
#[test]
fn the_real_nerdctl_is_waited_for_where_children_are_ignored() -> Result {
    let setting = Setting::new()?;
    let real = setting.script("real", b"#!/bin/sh\necho theirs\n")?;
    let ignoring = |words: &[&str]| {
        let mut command = setting.as_real(Command::new("env"), &real);
        command.arg("--ignore-signal=CHLD").arg(&setting.alias);
        outcome(command.args(words))
    };
    let helped = ignoring(&["commit", "--help"])?.succeeded()?.text();
    assert!(helped.starts_with("theirs\n") && helped.contains("freezeframe adds:"));
    let nowhere = ["--address", "/nowhere", "commit", "container", "image"];
    assert_eq!(ignoring(&nowhere)?.succeeded()?.text(), "theirs");
    Ok(())
}

/// Only where it has shown any.
#[test]
fn the_help_of_a_commit_is_the_real_ones_and_then_ours() -> Result {
    let setting = Setting::new()?;
    let real = setting.script("real", b"#!/bin/sh\necho \"theirs: $*\"\nexit $CODE\n")?;
    for words in ["container commit --help", "help commit"] {
        let call = |code: &str| {
            let mut command = setting.nerdctl(&real);
            outcome(command.args(words.split(' ')).env("CODE", code))
        };
        let theirs = format!("theirs: {words}");
        let helped = call("0")?.succeeded()?.text();
        assert!(helped.starts_with(&format!("{theirs}\n")), "{helped}");
        assert!(
            helped.contains("freezeframe adds:") && helped.contains("--max-pause"),
            "{helped}"
        );
        let failed = call("3")?;
        assert_eq!(failed.status.code(), Some(3));
        assert_eq!(failed.text(), theirs);
    }
    Ok(())
}
