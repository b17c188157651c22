//! The real nerdctl gets exactly what we got: words, environment, descriptors, working
//! directory, terminal and signals; and its end is ours.
//!
//! Ordinary tools play the real nerdctl and show what reaches a program: cat prints its
//! own entries in /proc, ls its descriptors. No containerd is started here.

mod environment;
mod inheritance;
mod malformed;
mod program;
mod rootless;

use crate::FREEZEFRAME;
use harness::{Outcome, Result, TempDir, outcome};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const GUARD: &str = "FREEZEFRAME_PASSED_ON";
/// A script that shows the words it is given, each ended by a zero byte.
const SHOW_WORDS: &str = "#!/bin/sh\nprintf '%s\\0' \"$@\"\n";

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
