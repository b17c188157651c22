//! The mark: a file that says which process is freezing what, written before the freeze and removed after the thaw.
//!
//! It lives in /run, so a reboot clears it, as it clears every freeze.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::digest::Sha256Digest;
use crate::system::process::ProcessIdentity;

const DIRECTORY: &str = "/run/freezeframe";
const MOST_TRIES: usize = 100;

pub struct Mark {
    path: PathBuf,
    stays: bool,
}

impl Mark {
    /// Says that this process is about to freeze what `name` names.
    pub fn write(name: &str) -> Result<Self> {
        let path = path_of(name);
        let text = format!("{}\n{name}\n", ProcessIdentity::of_this_process()?);
        for _ in 0..MOST_TRIES {
            create_directory()?;
            match fs::write(&path, &text) {
                // Another commit has removed the directory, which was empty.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                written => {
                    written.with_context(|| format!("writing the mark {}", path.display()))?;
                    return Ok(Self { path, stays: false });
                }
            }
        }
        bail!("{DIRECTORY} is being removed again and again")
    }

    /// Whether the process that froze it is gone without a thaw.
    pub fn is_abandoned(name: &str) -> bool {
        fs::read_to_string(path_of(name))
            .ok()
            .and_then(|text| Some(text.lines().next()?.to_owned()))
            .is_some_and(|holder| ProcessIdentity::is_known_to_be_gone(&holder))
    }

    pub fn remove_of(name: &str) {
        remove(&path_of(name));
    }

    /// Keeps the file, as what it says still holds.
    pub fn leave(mut self) {
        self.stays = true;
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        if !self.stays {
            remove(&self.path);
        }
    }
}

fn create_directory() -> Result<()> {
    match fs::DirBuilder::new().mode(0o700).create(DIRECTORY) {
        // Whether it is one shows when something is created in it; another commit may have removed it by then.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created.with_context(|| format!("creating {DIRECTORY}")),
    }
}

/// A mark that cannot be removed names a dead process soon, and one that thawed: harmless.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
    // Only an empty directory goes.
    let _ = fs::remove_dir(DIRECTORY);
}

fn path_of(name: &str) -> PathBuf {
    let mut digest = Sha256Digest::default();
    digest.update(name.as_bytes());
    Path::new(DIRECTORY).join(digest.hexadecimal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::process::unique_name;

    #[test]
    fn marks_come_and_go_at_once_though_each_takes_the_empty_directory_along() {
        let mark_often = || {
            for _ in 0..2000 {
                drop(Mark::write(&unique_name()).unwrap());
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(mark_often);
            }
        });
    }
}
