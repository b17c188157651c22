//! The real nerdctl: finding it, becoming it, and having it do something for us.
//!
//! Pass-through touches nothing before `execve`: the words, the environment, the descriptors, the working directory and
//! the signal dispositions are those we were started with. The one exception guards against two stand-ins that would
//! start each other for ever: a program that may be one finds a variable in its environment. The real nerdctl, which is
//! a Go program, never does.

use std::convert::Infallible;
use std::env;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use duct::Handle;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};

use crate::system::children::{set_variable, tie_to_this_process};
use crate::system::same_file::is_same_file;

const VARIABLE: &str = "FREEZEFRAME_NERDCTL";
const GUARD: &str = "FREEZEFRAME_PASSED_ON";
/// Where a linker puts the notes: right after the program headers.
const PROGRAM_HEAD: u64 = 16 << 10;
/// More than the first line of most scripts.
const LINE: u64 = 256;
const SHELL: &CStr = c"/bin/sh";
const THIS_PROGRAM: &str = "/proc/self/exe";
/// Exit code of a shell that does not find a command.
pub const NOT_FOUND: i32 = 127;

/// The real nerdctl, as an absolute or at least a slashed path.
#[derive(Clone, Debug)]
pub struct RealNerdctl {
    path: PathBuf,
}

impl RealNerdctl {
    /// `$FREEZEFRAME_NERDCTL`, else the first `nerdctl` in PATH that is not this program under whatever name.
    ///
    /// # Errors
    /// The variable names this program or nothing that can be run, or a chain of stand-ins has come back to us. Finding
    /// nothing is no error.
    pub fn find() -> Result<Option<Self>> {
        if env::var_os(GUARD).is_some() {
            let program = env::current_exe().unwrap_or_else(|_| "freezeframe".into());
            bail!(
                "nerdctl in PATH leads back to freezeframe, to {}: make a copy of it a link, or set {VARIABLE} to the real \
                 nerdctl (and unset {GUARD})",
                program.display()
            );
        }
        if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
            let path = absolute_or_slashed(PathBuf::from(path))?;
            if let Err(error) = eaccess(&path, AccessFlags::X_OK) {
                let (path, error) = (path.display(), error.desc());
                bail!(
                    "{VARIABLE} names {path}, which cannot be run ({error}): set it to the path of the real nerdctl"
                );
            }
            if path.is_dir() {
                let path = path.display();
                bail!(
                    "{VARIABLE} names {path}, which is a directory: set it to the path of the real nerdctl"
                );
            }
            if is_this_program(&path) {
                bail!("{VARIABLE} names freezeframe itself: set it to the real nerdctl");
            }
            return Ok(Some(Self { path }));
        }
        let Ok(candidates) = which::which_all("nerdctl") else {
            return Ok(None);
        };
        let others: Vec<PathBuf> = candidates.filter(|path| !is_this_program(path)).collect();
        // Where we do not know ourselves, one of them may be us; a Go program is not.
        let best = others.iter().find(|path| is_known() || is_go_program(path));
        let best = best.or(others.first()).cloned();
        Ok(best.map(|path| Self { path }))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A command of its own with `words`.
    pub fn command(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(words).envs(self.guard());
        command
    }

    /// Starts it with `words`, as a child that ends when this process does and whose output is kept.
    pub fn start(&self, words: Vec<OsString>) -> Result<Handle> {
        self.start_child(words, false)
    }

    /// The same in a process group of its own, which a terminal's signals do not reach, and which can be ended as a whole.
    pub fn start_apart(&self, words: Vec<OsString>) -> Result<Handle> {
        self.start_child(words, true)
    }

    fn start_child(&self, words: Vec<OsString>, is_apart: bool) -> Result<Handle> {
        let mut command = duct::cmd(&self.path, words);
        if let Some((name, value)) = self.guard() {
            command = command.env(name, value);
        }
        command
            .before_spawn(move |command| {
                tie_to_this_process(command, None);
                if is_apart {
                    command.process_group(0);
                }
                Ok(())
            })
            .stdin_null()
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .start()
            .with_context(|| format!("running {}", self.path.display()))
    }

    /// The variable to be set for it, where it may lead back to us.
    fn guard(&self) -> Option<(&'static str, &'static str)> {
        (!self.is_go_program()).then_some((GUARD, "1"))
    }

    /// Else it is a script, or another program, in front of the real nerdctl.
    pub fn is_go_program(&self) -> bool {
        is_go_program(&self.path)
    }

    /// Becomes the real nerdctl, with `words` after its name.
    ///
    /// # Errors
    /// It could not be started; nothing has changed.
    pub fn become_it(&self, words: &[OsString]) -> Result<Infallible> {
        let describe = || format!("cannot run the real nerdctl, {}", self.path.display());
        let path = CString::new(self.path.as_os_str().as_bytes()).with_context(describe)?;
        let name = self.path.as_os_str();
        let arguments = std::iter::once(name).chain(words.iter().map(OsString::as_os_str));
        let arguments: Vec<CString> = c_strings(arguments).with_context(describe)?;
        if let Some((name, value)) = self.guard() {
            set_variable(name, value);
        }
        let run = nix::unistd::execv(&path, &arguments);
        if run == Err(Errno::ENOEXEC) && is_script(&self.path) {
            // As a shell does, and execvp(3).
            let arguments: Vec<CString> = std::iter::once(SHELL.into()).chain(arguments).collect();
            return nix::unistd::execv(SHELL, &arguments).with_context(describe);
        }
        run.with_context(describe)
    }
}

/// What is no path is looked for in PATH, never in the working directory.
fn absolute_or_slashed(path: PathBuf) -> Result<PathBuf> {
    if path.as_os_str().as_bytes().contains(&b'/') {
        return Ok(path);
    }
    let found: Vec<PathBuf> = which::which_all(&path).into_iter().flatten().collect();
    let other = found.iter().find(|path| !is_this_program(path));
    other.or(found.first()).cloned().with_context(|| {
        let name = path.display();
        format!(
            "{VARIABLE} names {name}, which is not in PATH: set it to the path of the real nerdctl"
        )
    })
}

fn c_strings<'a>(words: impl Iterator<Item = &'a OsStr>) -> Result<Vec<CString>> {
    words
        .map(|word| Ok(CString::new(OsString::from(word).into_vec())?))
        .collect()
}

fn is_this_program(path: &Path) -> bool {
    is_same_file(path, Path::new(THIS_PROGRAM))
}

/// Whether there is a `/proc` that tells which program this is.
fn is_known() -> bool {
    Path::new(THIS_PROGRAM).exists()
}

/// Whether a shell would run it where the kernel does not: it is text, at least in its first line.
fn is_script(path: &Path) -> bool {
    let head = head_of(path, LINE);
    let line = head.split(|byte| *byte == b'\n').next();
    !head.is_empty() && line.is_some_and(|line| !line.contains(&0))
}

/// Whether the file carries Go's build ID, as its linker leaves it (cmd/internal/buildid of Go's source).
fn is_go_program(path: &Path) -> bool {
    let note = b"\x04\0\0\0Go\0\0";
    let head = head_of(path, PROGRAM_HEAD);
    head.windows(note.len()).any(|window| window == note)
}

/// What a file begins with, so many bytes at most; nothing where it cannot be read.
fn head_of(path: &Path, length: u64) -> Vec<u8> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(length).read_to_end(&mut head));
    read.map(|_| head).unwrap_or_default()
}
