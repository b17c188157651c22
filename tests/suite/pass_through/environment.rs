//! The environment arrives byte by byte. A Go program finds nothing of ours in it; any
//! other one finds the guard against starting each other for ever, and nothing else new.

use super::{GUARD, Setting, split};
use harness::{Result, outcome, wait_until};
use nix::fcntl::{FcntlArg, fcntl};
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The note by which Go's linker marks a program.
const GO_NOTE: &[u8] = b"\x04\0\0\0Go\0\0";

#[test]
fn a_go_program_finds_the_environment_unchanged_whatever_is_in_it() -> Result {
    let setting = Setting::new()?;
    let body = [b"#!/bin/cat /proc/self/environ\n", GO_NOTE].concat();
    let real = setting.script("real", &body)?;
    let environment = odd_environment(&real)?;
    let seen = outcome(&mut exec_with(&setting.alias, "/dev/null", &environment)?)?.succeeded()?;
    let seen = seen.stdout.strip_suffix(&body[..]).unwrap_or(&seen.stdout);
    assert_eq!(readable(seen), readable(&flat(&environment)));
    Ok(())
}

#[test]
fn a_real_go_program_finds_no_variable_of_ours() -> Result {
    let setting = Setting::new()?;
    let containerd = which::which("containerd")?;
    // It prints more than the pipe takes and nobody reads: it waits.
    let (_reader, writer) = std::io::pipe()?;
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096))?;
    let mut child = setting
        .nerdctl(&containerd)
        .args(["--config", "/dev/null", "config", "default"])
        .stdout(writer)
        .env("FILLER", "x")
        .spawn()?;
    let path = format!("/proc/{}/environ", child.id());
    let seen = wait_until("containerd in our place", Duration::from_secs(5), || {
        let program = fs::read_link(format!("/proc/{}/exe", child.id()))?;
        let is_it = program.file_name() == containerd.canonicalize()?.file_name();
        let environment = is_it.then(|| fs::read(&path)).transpose()?;
        // Empty for a moment, while exec is still setting the new program up.
        Ok(environment.filter(|bytes| !bytes.is_empty()))
    })?;
    child.kill()?;
    child.wait()?;
    let seen = String::from_utf8_lossy(&seen).into_owned();
    assert!(seen.contains("FILLER=x") && !seen.contains(GUARD), "{seen}");
    Ok(())
}

#[test]
fn another_program_finds_the_guard_and_nothing_else_new() -> Result {
    let setting = Setting::new()?;
    let environment = plain_environment(Path::new("/bin/cat"))?;
    let mut command = exec_with(&setting.alias, "/proc/self/environ", &environment)?;
    let seen = outcome(&mut command)?.succeeded()?;
    let wanted = [flat(&environment), format!("{GUARD}=1\0").into_bytes()].concat();
    assert_eq!(readable(&seen.stdout), readable(&wanted));
    Ok(())
}

fn plain_environment(real: &Path) -> Result<Vec<CString>> {
    let real = [b"FREEZEFRAME_NERDCTL=", real.as_os_str().as_bytes()].concat();
    let words = [
        &b"PATH=/bin:/usr/bin"[..],
        &real,
        b"BYTES=\xff\xfe",
        b"EMPTY=",
    ];
    let words = words.map(CString::new).into_iter();
    Ok(words.collect::<std::result::Result<_, _>>()?)
}

/// What execve allows, though few programs make it: a name twice, and no `=` at all.
fn odd_environment(real: &Path) -> Result<Vec<CString>> {
    let mut environment = plain_environment(real)?;
    for word in ["TWICE=1", "TWICE=2", "WITHOUT", "=NAMELESS", "A=b=c"] {
        environment.push(CString::new(word)?);
    }
    Ok(environment)
}

fn flat(environment: &[CString]) -> Vec<u8> {
    let words = environment.iter().map(CString::as_bytes_with_nul);
    words.collect::<Vec<_>>().concat()
}

fn readable(zero_ended: &[u8]) -> Vec<String> {
    let words = split(zero_ended).into_iter();
    words.map(|word| word.escape_ascii().to_string()).collect()
}

/// A command started with exactly this environment, which std's own cannot express.
fn exec_with(program: &Path, word: &str, environment: &[CString]) -> Result<Command> {
    let path = CString::new(program.as_os_str().as_bytes())?;
    let arguments = [path.clone(), CString::new(word)?];
    let environment = environment.to_vec();
    let mut command = Command::new(program);
    let exec = move || match nix::unistd::execve(&path, &arguments, &environment) {
        Ok(never) => match never {},
        Err(error) => Err(error.into()),
    };
    // SAFETY: between fork and exec only execve is called, and all it reads exists by then.
    unsafe { command.pre_exec(exec) };
    Ok(command)
}
