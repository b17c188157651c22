//! The real nerdctl gets exactly what we got: words, environment, descriptors, working
//! directory, terminal and signals; and its end is ours.
//!
//! Ordinary tools play the real nerdctl and show what reaches a program: cat prints its
//! own entries in /proc, ls its descriptors. No containerd is started here.

use crate::FREEZEFRAME;
use harness::{Outcome, Result, TempDir, outcome, wait_until};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const GUARD: &str = "FREEZEFRAME_PASSED_ON";
/// A script that shows the words it is given, each ended by a zero byte.
const SHOW_WORDS: &str = "#!/bin/sh\nprintf '%s\\0' \"$@\"\n";
/// The note by which Go's linker marks a program.
const GO_NOTE: &[u8] = b"\x04\0\0\0Go\0\0";

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
        Ok(is_it.then(|| fs::read(&path)).transpose()?)
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
        let seen = outcome(bare(&mut command).env("PATH", &path).arg("hello"))?.succeeded()?;
        assert_eq!(seen.stdout, b"hello\0", "as {}", folder.display());
    }
    Ok(())
}

#[test]
fn two_stand_ins_do_not_start_each_other_for_ever() -> Result {
    let setting = Setting::new()?;
    let folders = [setting.path_folder("one")?, setting.path_folder("two")?];
    for folder in &folders {
        fs::copy(FREEZEFRAME, folder.join("nerdctl"))?;
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

const REFUSED: [(&[&str], &str); 7] = [
    (
        &["commit"],
        "\"nerdctl commit\" requires exactly 2 argument(s).",
    ),
    (
        &["commit", "one", "two", "three"],
        "\"nerdctl commit\" requires exactly 2 argument(s).",
    ),
    (&["commit", "--nope", "a", "b"], "unknown flag: --nope"),
    (
        &["commit", "-c", "ENV a=b", "a", "b"],
        "unknown change directive \"ENV\"",
    ),
    (
        &["commit", "--compression=lzma", "a", "b"],
        "--compression param only supports zstd or gzip",
    ),
    (
        &["commit", "--format", "tar", "a", "b"],
        "--format param only supports docker or oci",
    ),
    (
        &["commit", "a", "BAD"],
        "repository name (library/BAD) must be lowercase",
    ),
];

#[test]
fn a_malformed_commit_reaches_the_real_nerdctl_without_our_flag_alone() -> Result {
    let setting = Setting::new()?;
    let real = setting.script("real", SHOW_WORDS.as_bytes())?;
    for (words, _) in REFUSED {
        let expected: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let seen = outcome(setting.nerdctl(&real).args(words))?.succeeded()?;
        assert_eq!(split(&seen.stdout), expected);
        let (first, rest) = words.split_at(1);
        let mut command = setting.nerdctl(&real);
        command
            .args(first)
            .args(["--report", "/nowhere"])
            .args(rest);
        let seen = outcome(&mut command)?.succeeded()?;
        assert_eq!(split(&seen.stdout), expected, "with --report");
    }
    Ok(())
}

#[test]
fn without_a_real_nerdctl_a_malformed_commit_is_refused_in_its_words() -> Result {
    let setting = Setting::new()?;
    let empty = setting.path_folder("empty")?;
    for (words, message) in REFUSED {
        let seen = outcome(setting.without_real().args(words).env("PATH", &empty))?;
        assert_eq!(seen.status.code(), Some(1), "{}", seen.describe());
        let logged = message.replace('"', "\\\"");
        assert!(seen.error_text().contains(&logged), "{}", seen.describe());
        assert!(seen.stdout.is_empty(), "{}", seen.describe());
    }
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

/// A folder with our alias in it.
struct Setting {
    folder: TempDir,
    alias: PathBuf,
}

impl Setting {
    fn new() -> Result<Self> {
        // Beside the tested program: a hard link must not cross file systems.
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        let alias = folder.path().join("nerdctl");
        symlink(FREEZEFRAME, &alias)?;
        Ok(Self { folder, alias })
    }

    /// Our alias, in front of the program `real`.
    fn nerdctl(&self, real: &Path) -> Command {
        self.as_real(Command::new(&self.alias), real)
    }

    /// `command`, in whose environment `real` is the real nerdctl.
    #[allow(clippy::unused_self)]
    fn as_real(&self, mut command: Command, real: &Path) -> Command {
        bare(&mut command).env("FREEZEFRAME_NERDCTL", real);
        command
    }

    fn without_real(&self) -> Command {
        let mut command = Command::new(&self.alias);
        bare(&mut command);
        command
    }

    fn cat(&self, word: &str) -> Result<Outcome> {
        outcome(self.nerdctl(Path::new("/bin/cat")).arg(word))
    }

    fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::write(&path, content)?;
        Ok(path)
    }

    fn script(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.file(name, content)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(path)
    }

    fn path_folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A folder for PATH that holds a script of the name nerdctl.
    fn program_in_path(&self, name: &str, content: &str) -> Result<PathBuf> {
        let folder = self.path_folder(name)?;
        self.script(&format!("{name}/nerdctl"), content.as_bytes())?;
        Ok(folder)
    }
}

/// Without what the environment of the tests may hold for us.
fn bare(command: &mut Command) -> &mut Command {
    command.env_remove("FREEZEFRAME_NERDCTL").env_remove(GUARD)
}

fn split(zero_ended: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<_> = zero_ended.split(|byte| *byte == 0).collect();
    words.pop();
    words
}

fn signal_lines(status: &str) -> String {
    let lines = status.lines();
    let ours = lines.filter(|line| line.starts_with("SigIgn") || line.starts_with("SigBlk"));
    ours.collect::<Vec<_>>().join(" ")
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
