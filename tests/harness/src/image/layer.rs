//! A layer's entries, and the tar that they make.
//!
//! Everything a layer can say: files, directories, both kinds of links, devices,
//! FIFOs, owners, modes, times, and extended attributes as PAX records.

use crate::Result;
use tar::{Builder, EntryType, Header};

#[derive(Clone, Debug)]
pub struct Entry {
    path: String,
    kind: EntryType,
    content: Vec<u8>,
    link: String,
    device: (u32, u32),
    mode: u32,
    owner: (u64, u64),
    mtime: u64,
    xattrs: Vec<(String, Vec<u8>)>,
}

impl Entry {
    fn new(path: &str, kind: EntryType, mode: u32) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            content: Vec::new(),
            link: String::new(),
            device: (0, 0),
            mode,
            owner: (0, 0),
            mtime: 1_600_000_000,
            xattrs: Vec::new(),
        }
    }

    pub fn file(path: &str, content: impl Into<Vec<u8>>) -> Self {
        Self {
            content: content.into(),
            ..Self::new(path, EntryType::Regular, 0o644)
        }
    }

    pub fn directory(path: &str) -> Self {
        Self::new(&format!("{path}/"), EntryType::Directory, 0o755)
    }

    pub fn symlink(path: &str, target: &str) -> Self {
        Self {
            link: target.to_owned(),
            ..Self::new(path, EntryType::Symlink, 0o777)
        }
    }

    /// `target` as the archive names it: an entry before this one.
    pub fn hard_link(path: &str, target: &str) -> Self {
        Self {
            link: target.to_owned(),
            ..Self::new(path, EntryType::Link, 0o644)
        }
    }

    pub fn character_device(path: &str, major: u32, minor: u32) -> Self {
        Self {
            device: (major, minor),
            ..Self::new(path, EntryType::Char, 0o600)
        }
    }

    pub fn fifo(path: &str) -> Self {
        Self::new(path, EntryType::Fifo, 0o600)
    }

    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, user: u64, group: u64) -> Self {
        self.owner = (user, group);
        self
    }

    pub fn mtime(mut self, seconds: u64) -> Self {
        self.mtime = seconds;
        self
    }

    pub fn xattr(mut self, name: &str, value: &[u8]) -> Self {
        self.xattrs.push((name.to_owned(), value.to_vec()));
        self
    }

    fn header(&self) -> Result<Header> {
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        header.set_size(self.content.len() as u64);
        header.set_mode(self.mode);
        header.set_uid(self.owner.0);
        header.set_gid(self.owner.1);
        header.set_mtime(self.mtime);
        header.set_device_major(self.device.0)?;
        header.set_device_minor(self.device.1)?;
        Ok(header)
    }

    fn append_to(&self, tar: &mut Builder<Vec<u8>>) -> Result {
        let names = self
            .xattrs
            .iter()
            .map(|(name, value)| (format!("SCHILY.xattr.{name}"), value));
        let names: Vec<_> = names.collect();
        if !names.is_empty() {
            tar.append_pax_extensions(
                names
                    .iter()
                    .map(|(name, value)| (&**name, value.as_slice())),
            )?;
        }
        let mut header = self.header()?;
        if self.link.is_empty() {
            return Ok(tar.append_data(&mut header, &self.path, self.content.as_slice())?);
        }
        Ok(tar.append_link(&mut header, &self.path, &self.link)?)
    }
}

pub fn tar(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut tar = Builder::new(Vec::new());
    for entry in entries {
        entry.append_to(&mut tar)?;
    }
    Ok(tar.into_inner()?)
}
