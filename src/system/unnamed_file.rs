//! A file that is in a directory but has no name there until it is whole (`O_TMPFILE`, open(2)): nobody finds a part of
//! it, and nothing of it stays when we die.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::cache::Portions;

pub struct UnnamedFile {
    path: PathBuf,
    directory: OwnedFd,
    file: File,
    /// What waits for the end is waited for there.
    portions: Portions,
}

impl UnnamedFile {
    /// An empty file in the directory `path`, with exactly this `mode`.
    ///
    /// # Errors
    /// There is no such directory, it may not be written to, or its file system has no such files.
    pub fn create(path: &Path, mode: Mode) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, ".", flags, mode)?;
        rustix::fs::fchmod(&file, mode)?;
        Ok(Self {
            path: path.to_owned(),
            directory,
            file: File::from(file),
            portions: Portions::default(),
        })
    }

    /// The path of the directory.
    pub fn directory(&self) -> &Path {
        &self.path
    }

    /// How many bytes it takes on disk beyond its size.
    pub fn spare(&self) -> io::Result<u64> {
        let metadata = self.file.metadata()?;
        Ok((metadata.blocks() * 512).saturating_sub(metadata.len()))
    }

    /// Waits until its content is on disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Gives it the name `name`. False where something has that name.
    pub fn name(&self, name: &str) -> io::Result<bool> {
        // Any other way asks for a capability (linkat(2)).
        let this = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        match rustix::fs::linkat(CWD, this, &self.directory, name, AtFlags::SYMLINK_FOLLOW) {
            Err(Errno::EXIST) => Ok(false),
            linked => Ok(linked.map(|()| true)?),
        }
    }

    /// Has what bears the name on disk under it, whoever made it. Syncing a file that has no name yet may do nothing on
    /// btrfs, which logs it as deleted.
    pub fn sync_name(&self, name: &str) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let named = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        rustix::fs::fsync(named)?;
        Ok(rustix::fs::fsync(&self.directory)?)
    }

    /// Takes the name away again. Where somebody else has done so, it may be another file's by now, and stays.
    pub fn unname(&self, name: &str) -> io::Result<()> {
        if rustix::fs::fstat(&self.file)?.st_nlink == 0 {
            return Ok(());
        }
        match rustix::fs::unlinkat(&self.directory, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            unlinked => Ok(unlinked?),
        }
    }

    /// Its content from the beginning on.
    pub fn into_content(mut self) -> io::Result<File> {
        self.file.rewind()?;
        Ok(self.file)
    }
}

impl Write for UnnamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.portions.advance(self.file.as_fd(), count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    use harness::{Disk, FileSystem, TempDir};

    use super::*;

    const READ_ONLY: Mode = Mode::from_raw_mode(0o444);

    fn names(directory: &TempDir) -> Vec<std::ffi::OsString> {
        let entries = fs::read_dir(directory.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_file_is_found_only_while_it_has_a_name() {
        let directory = TempDir::new().unwrap();
        let mut file = UnnamedFile::create(directory.path(), READ_ONLY).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(names(&directory), [""; 0]);
        assert!(file.name("it").unwrap());
        file.sync().unwrap();
        file.sync_name("it").unwrap();
        let found = directory.path().join("it");
        assert_eq!(fs::read(&found).unwrap(), b"whole");
        assert_eq!(
            fs::metadata(&found).unwrap().permissions().mode() & 0o7777,
            0o444
        );
        file.unname("it").unwrap();
        file.unname("it").unwrap();
        assert_eq!(names(&directory), [""; 0]);
        let mut content = String::new();
        file.into_content()
            .unwrap()
            .read_to_string(&mut content)
            .unwrap();
        assert_eq!(content, "whole");
    }

    #[test]
    fn a_name_that_is_taken_stays_what_it_is() {
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("it"), "other").unwrap();
        let mut file = UnnamedFile::create(directory.path(), READ_ONLY).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!file.name("it").unwrap());
        assert_eq!(fs::read(directory.path().join("it")).unwrap(), b"other");
    }

    #[test]
    fn a_name_that_is_another_files_by_now_stays() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("it");
        let file = UnnamedFile::create(directory.path(), READ_ONLY).unwrap();
        assert!(file.name("it").unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "other").unwrap();
        file.unname("it").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"other");
    }

    #[test]
    fn what_xfs_sets_aside_is_spare() {
        let disk = Disk::new(FileSystem::Xfs).unwrap();
        let mut file = UnnamedFile::create(disk.path(), READ_ONLY).unwrap();
        assert_eq!(file.spare().unwrap(), 0);
        for _ in 0..5 {
            file.write_all(&vec![7; 1 << 20]).unwrap();
        }
        assert!(file.spare().unwrap() > 0);
        file.sync().unwrap();
        assert!(file.spare().unwrap() > 0);
    }

    #[test]
    fn there_is_none_where_there_is_no_directory() {
        let directory = TempDir::new().unwrap();
        assert!(UnnamedFile::create(&directory.path().join("none"), READ_ONLY).is_err());
    }
}
