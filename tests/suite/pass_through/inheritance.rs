//! What a program takes over from whoever starts it, from its words to its signals, and
//! what it gives back.

use super::{SHOW_WORDS, Setting, split};
use crate::FREEZEFRAME;
use harness::{Result, outcome, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn words_arrive_byte_by_byte() -> Result {
    let setting = Setting::new()?;
    let real = setting.script("real", SHOW_WORDS.as_bytes())?;
    let words = [
        &b"run"[..],
        b"",
        b"two words",
        b"*",
        b"$HOME",
        b"\xff\xfe",
        b"--",
        b"a\nb",
        b"",
    ];
    let arguments = words.map(OsStr::from_bytes);
    let seen = outcome(setting.nerdctl(&real).args(arguments))?.succeeded()?;
    assert_eq!(split(&seen.stdout), words);
    let mut ours = setting.as_real(Command::new(FREEZEFRAME), &real);
    let seen = outcome(ours.arg("nerdctl").args(arguments))?.succeeded()?;
    assert_eq!(split(&seen.stdout), words, "as freezeframe nerdctl");
    Ok(())
}

#[test]
fn its_name_is_its_own_path() -> Result {
    let setting = Setting::new()?;
    let seen = setting.cat("/proc/self/cmdline")?.succeeded()?;
    assert_eq!(split(&seen.stdout)[0], b"/bin/cat");
    Ok(())
}

#[test]
fn standard_input_reaches_it_and_its_output_and_exit_code_come_back() -> Result {
    let setting = Setting::new()?;
    let script = "read line; echo \"out $line\"; echo \"err $line\" >&2; exit 42";
    let input = setting.file("input", b"first\nsecond\n")?;
    let mut command = setting.nerdctl(Path::new("/bin/sh"));
    command.args(["-c", script]).stdin(fs::File::open(input)?);
    let seen = outcome(&mut command)?;
    assert_eq!(seen.status.code(), Some(42));
    assert_eq!(seen.text(), "out first");
    assert_eq!(seen.error_text(), "err first");
    Ok(())
}

#[test]
fn a_signal_to_us_reaches_it_and_its_death_is_ours() -> Result {
    let setting = Setting::new()?;
    let mut child = setting
        .nerdctl(Path::new("/bin/sleep"))
        .arg("1000")
        .spawn()?;
    let program = format!("/proc/{}/comm", child.id());
    wait_until("sleep in our place", Duration::from_secs(5), || {
        Ok((fs::read_to_string(&program)? == "sleep\n").then_some(()))
    })?;
    kill(Pid::from_raw(child.id().try_into()?), Signal::SIGTERM)?;
    assert_eq!(child.wait()?.signal(), Some(Signal::SIGTERM as i32));
    Ok(())
}

#[test]
fn ignored_and_blocked_signals_are_as_we_found_them() -> Result {
    let setting = Setting::new()?;
    for flags in [
        &["--default-signal"][..],
        &["--ignore-signal=PIPE"],
        &["--ignore-signal=INT,PIPE,TSTP", "--block-signal=TERM,USR1"],
    ] {
        let with = |program: &Path| -> Result<String> {
            let mut command = setting.as_real(Command::new("/usr/bin/env"), Path::new("/bin/cat"));
            command.args(flags).arg(program).arg("/proc/self/status");
            Ok(signal_lines(&outcome(&mut command)?.succeeded()?.text()))
        };
        let direct = with(Path::new("/bin/cat"))?;
        assert_eq!(with(&setting.alias)?, direct, "after env {flags:?}");
    }
    Ok(())
}

#[test]
fn descriptors_are_those_we_were_started_with() -> Result {
    let setting = Setting::new()?;
    let file = setting.file("open", b"kept open")?;
    // Closed ones stay closed, 7 is one more; ls adds one to read the directory with.
    for redirections in ["7<\"$1\"", "7<\"$1\" <&-", "7<\"$1\" 2>&- <&-"] {
        let line = format!("exec {redirections}; shift; exec \"$0\" /proc/self/fd");
        let list = |program: &Path| -> Result<String> {
            let mut command = setting.as_real(Command::new("/bin/sh"), Path::new("/bin/ls"));
            command.args(["-c", &line]).arg(program).arg(&file);
            Ok(outcome(&mut command)?.succeeded()?.text())
        };
        let direct = list(Path::new("/bin/ls"))?;
        assert!(direct.lines().any(|name| name == "7"), "{direct}");
        assert_eq!(list(&setting.alias)?, direct, "after {redirections}");
    }
    Ok(())
}

#[test]
fn closed_standard_output_stays_closed() -> Result {
    let setting = Setting::new()?;
    let line = "exec \"$0\" -c 'test -e /proc/$$/fd/1 || exit 40' >&-";
    let mut command = setting.as_real(Command::new("/bin/sh"), Path::new("/bin/sh"));
    let seen = outcome(command.args(["-c", line]).arg(&setting.alias))?;
    assert_eq!(seen.status.code(), Some(40), "{}", seen.describe());
    Ok(())
}

#[test]
fn the_working_directory_is_ours() -> Result {
    let setting = Setting::new()?;
    let folder = setting
        .folder
        .path()
        .join(OsStr::from_bytes(b"odd \xff name"));
    fs::create_dir(&folder)?;
    let mut command = setting.nerdctl(Path::new("/bin/pwd"));
    let seen = outcome(command.arg("-P").current_dir(&folder))?.succeeded()?;
    let line = seen.stdout.strip_suffix(b"\n").unwrap_or(&seen.stdout);
    assert_eq!(line, folder.as_os_str().as_bytes());
    Ok(())
}

#[test]
fn a_terminal_comes_through() -> Result {
    let setting = Setting::new()?;
    let test = "test -t 0 && test -t 1 && test -t 2 && stty size";
    let line = format!(
        "stty rows 33 cols 77; exec {} -c '{test}'",
        setting.alias.display()
    );
    let mut command = setting.as_real(Command::new("script"), Path::new("/bin/sh"));
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let seen = outcome(command.stdin(Stdio::null()))?.succeeded()?;
    assert!(seen.text().contains("33 77"), "{}", seen.describe());
    Ok(())
}

fn signal_lines(status: &str) -> String {
    let lines = status.lines();
    let ours = lines.filter(|line| line.starts_with("SigIgn") || line.starts_with("SigBlk"));
    ours.collect::<Vec<_>>().join(" ")
}
