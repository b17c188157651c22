//! What is mounted where, as `proc_pid_mountinfo(5)` tells.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// One line of a mountinfo file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry {
    /// Major and minor number of the file system's device.
    pub device: (u32, u32),
    /// The directory of the file system that is the mount's root.
    pub root: PathBuf,
    pub mount_point: PathBuf,
    pub kind: String,
    /// Options of the file system itself, not of this mount.
    pub options: Vec<OsString>,
}

impl MountEntry {
    /// The value of the option `NAME=value`.
    pub fn option(&self, name: &str) -> Option<PathBuf> {
        self.options.iter().find_map(|option| {
            let value = option
                .as_encoded_bytes()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")?;
            Some(OsString::from_vec(value.to_vec()).into())
        })
    }

    /// The upper directory of an overlay.
    pub fn upper(&self) -> Option<PathBuf> {
        self.option("upperdir").filter(|_| self.kind == "overlay")
    }

    pub fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|option| option == name)
    }
}

/// The mounts that process `pid` sees, in the order in which they were mounted.
pub fn mounts_of(pid: u32) -> io::Result<Vec<MountEntry>> {
    read(&format!("/proc/{pid}/mountinfo"))
}

/// Those that we see.
pub fn our_mounts() -> Result<Vec<MountEntry>> {
    let path = "/proc/self/mountinfo";
    read(path).with_context(|| format!("reading {path}"))
}

fn read(path: &str) -> io::Result<Vec<MountEntry>> {
    let text = fs::read(path)?;
    Ok(text
        .split(|byte| *byte == b'\n')
        .filter_map(parse)
        .collect())
}

/// What is mounted at the root, over whatever was there before.
pub fn root_of(mounts: Vec<MountEntry>) -> Option<MountEntry> {
    let mut latest = mounts.into_iter().rev();
    latest.find(|mount| mount.mount_point == Path::new("/"))
}

/// Reads one line; `None` for one that is none.
pub fn parse(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let device = device_of(fields.nth(2)?)?;
    let root = fields.next()?;
    let mount_point = fields.next()?;
    let mut after_separator = fields.skip_while(|field| field != b"-").skip(1);
    let kind = after_separator.next()?;
    let options = after_separator.nth(1)?;
    Some(MountEntry {
        device,
        root: unescape(root).into(),
        mount_point: unescape(mount_point).into(),
        kind: String::from_utf8_lossy(kind).into_owned(),
        options: options.split(|byte| *byte == b',').map(unescape).collect(),
    })
}

fn device_of(numbers: &[u8]) -> Option<(u32, u32)> {
    let (major, minor) = std::str::from_utf8(numbers).ok()?.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Undoes the octal escapes (`\040`) of blanks, backslashes and the like.
pub fn unescape(text: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let escaped = (byte == b'\\').then(|| octal(tail)).flatten();
        plain.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &tail[3..] } else { tail };
    }
    OsString::from_vec(plain)
}

fn octal(text: &[u8]) -> Option<u8> {
    let digits = text.get(..3)?;
    // Rust would take a sign as well.
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_optional_fields_and_escapes_is_read() {
        let line = b"36 35 98:0 / /mnt\\0402 rw,noatime master:1 shared:2 - overlay overlay rw,upperdir=/a\\134b/fs,redirect_dir=on";
        let mount = parse(line).unwrap();
        assert_eq!(mount.device, (98, 0));
        assert_eq!(mount.mount_point, PathBuf::from("/mnt 2"));
        assert_eq!(mount.kind, "overlay");
        assert_eq!(mount.option("upperdir"), Some(PathBuf::from("/a\\b/fs")));
        assert!(mount.has_option("redirect_dir=on"));
    }

    #[test]
    fn nonsense_is_no_mount() {
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"36 35 98:0 / /mnt rw"), None);
        assert_eq!(parse(b"36 35 98 / /mnt rw - ext4 /dev/sda rw"), None);
    }
}
