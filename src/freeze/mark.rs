//! The mark: a file that says which process is freezing what, written before the freeze and removed after the thaw.
//!
//! It lives in /run, so a reboot clears it, as it clears every freeze. A mark whose process is gone tells of a freeze that
//! may have outlived it: the next commit of that container sees to it, and any commit where the container is gone as well.
//! What freezes a container has another name in a pod than on its host; the container has not.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::digest::Sha256Digest;
use crate::plan::Obstacle;
use crate::system::identity::{ProcessIdentity, namespace};

const PARENT: &str = "/run";
const DIRECTORY: &str = "/run/freezeframe";
const MOST_TRIES: usize = 100;

pub struct Mark {
    path: PathBuf,
    stays: bool,
}

/// # Errors
/// No mark can be written: `Obstacle`, where that will not pass.
pub fn check() -> Result<()> {
    let check = |directory: &str| Obstacle::check_writable(Path::new(directory));
    // It is there at times.
    check(DIRECTORY).or_else(|_| check(PARENT))
}

impl Mark {
    /// Says that this process, watched over by `watchdog`, is about to freeze `container` by what `name` names.
    ///
    /// # Errors
    /// As [`check`], which nobody has asked where the container did not run at first.
    pub fn write(name: &str, container: &str, watchdog: &ProcessIdentity) -> Result<Self> {
        check()?;
        let path = path_of(name);
        let what = format!("writing the mark {}", path.display());
        let inscription = Inscription {
            holder: ProcessIdentity::of_this_process()?.to_string(),
            watchdog: watchdog.to_string(),
            mounts: namespace("mnt").context("reading our mount namespace")?,
            container: container.to_owned(),
            name: name.to_owned(),
        };
        let text = inscription.to_string();
        for _ in 0..MOST_TRIES {
            create_directory()?;
            match fs::write(&path, &text) {
                // Another commit has removed the directory, which was empty.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                written => {
                    // Half a mark is removed as a whole one is.
                    let mark = Self { path, stays: false };
                    return written.map(|()| mark).context(what);
                }
            }
        }
        bail!("{DIRECTORY} is being removed again and again")
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

/// Removes the mark of `name` if it is `holder`'s.
pub fn forget(name: &str, holder: &str) {
    remove_of(&path_of(name), holder);
}

fn remove_of(path: &Path, holder: &str) {
    if Inscription::read(path).is_some_and(|mark| mark.holder == holder) {
        remove(path);
    }
}

/// A mark whose process is gone without having removed it.
pub struct AbandonedMark {
    path: PathBuf,
    inscription: Inscription,
}

impl AbandonedMark {
    pub fn all() -> Vec<Self> {
        let files = fs::read_dir(DIRECTORY).into_iter().flatten().flatten();
        files.filter_map(|file| Self::at(file.path())).collect()
    }

    fn at(path: PathBuf) -> Option<Self> {
        let inscription = Inscription::read(&path)?;
        ProcessIdentity::is_known_to_be_gone(&inscription.holder)
            .then_some(Self { path, inscription })
    }

    pub fn name(&self) -> &str {
        &self.inscription.name
    }

    pub fn container(&self) -> &str {
        &self.inscription.container
    }

    /// Whether paths in its name mean to us what they meant to whoever wrote it.
    pub fn is_of_our_mounts(&self) -> bool {
        namespace("mnt").is_ok_and(|mounts| mounts == self.inscription.mounts)
    }

    /// Removes it with its watchdog: one that is stopped would thaw what it no longer knows, whenever it goes on.
    pub fn clear(self) {
        ProcessIdentity::kill(&self.inscription.watchdog);
        // Another commit may have seen to it, and have put its own there.
        remove_of(&self.path, &self.inscription.holder);
    }
}

/// What a mark says, a line each.
struct Inscription {
    holder: String,
    watchdog: String,
    mounts: String,
    container: String,
    /// Last, as a name may have any number of lines.
    name: String,
}

impl Inscription {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let parts: Vec<&str> = text.strip_suffix('\n')?.splitn(5, '\n').collect();
        let [holder, watchdog, mounts, container, name] = parts[..] else {
            return None;
        };
        Some(Self {
            holder: holder.to_owned(),
            watchdog: watchdog.to_owned(),
            mounts: mounts.to_owned(),
            container: container.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl std::fmt::Display for Inscription {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            holder,
            watchdog,
            mounts,
            container,
            name,
        } = self;
        writeln!(
            formatter,
            "{holder}\n{watchdog}\n{mounts}\n{container}\n{name}"
        )
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
    Path::new(DIRECTORY).join(Sha256Digest::of(name.as_bytes()).hexadecimal())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::identity::unique_name;

    #[test]
    fn marks_come_and_go_at_once_though_each_takes_the_empty_directory_along() {
        let own = ProcessIdentity::of_this_process().unwrap();
        let mark_often = || {
            for _ in 0..2000 {
                drop(Mark::write(&unique_name(), "container", &own).unwrap());
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(mark_often);
            }
        });
    }

    #[test]
    fn a_mark_that_another_commit_has_put_in_its_place_is_not_cleared() {
        let own = ProcessIdentity::of_this_process().unwrap();
        let name = unique_name();
        let mark = Mark::write(&name, "container", &own).unwrap();
        let dead = |holder: &str| Inscription {
            holder: holder.to_owned(),
            watchdog: "another".to_owned(),
            mounts: String::new(),
            container: "container".to_owned(),
            name: name.clone(),
        };
        let abandoned = |inscription| AbandonedMark {
            path: mark.path.clone(),
            inscription,
        };
        abandoned(dead("another")).clear();
        assert!(mark.path.exists());
        abandoned(dead(&own.to_string())).clear();
        assert!(!mark.path.exists());
    }

    #[test]
    fn a_mark_is_forgotten_for_its_holder_and_for_nobody_else() {
        let own = ProcessIdentity::of_this_process().unwrap();
        let name = format!("{}\nof two lines", unique_name());
        let mark = Mark::write(&name, "container", &own).unwrap();
        assert!(AbandonedMark::at(mark.path.clone()).is_none());
        forget(&name, "another");
        let inscription = Inscription::read(&mark.path).unwrap();
        assert_eq!(inscription.name, name);
        forget(&name, &own.to_string());
        assert!(!mark.path.exists());
    }
}
