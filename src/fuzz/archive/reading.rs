//! An archive read back: the tar crate finds the headers, the records before them are read here, as that crate takes a line
//! end within a record for its end.

use std::io::Read;

use tar::{Archive, EntryType, Header};

use crate::system::attributes::CAPABILITY_ATTRIBUTE;

#[derive(Debug, PartialEq, Eq)]
pub struct ReadEntry {
    pub path: Vec<u8>,
    /// The type flag of ustar.
    pub kind: u8,
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub modified: u64,
    pub link: Vec<u8>,
    pub node: (u32, u32),
    pub capability: Option<Vec<u8>>,
    pub content: Vec<u8>,
}

impl ReadEntry {
    /// An empty file that nobody owns.
    pub fn whiteout(path: &[u8]) -> Self {
        Self {
            path: path.to_vec(),
            kind: b'0',
            mode: 0,
            owner: 0,
            group: 0,
            modified: 0,
            link: Vec::new(),
            node: (0, 0),
            capability: None,
            content: Vec::new(),
        }
    }

    fn of(header: &Header, content: Vec<u8>) -> Self {
        let number = |value: u64| u32::try_from(value).unwrap();
        Self {
            path: header.path_bytes().into_owned(),
            kind: header.entry_type().as_byte(),
            mode: header.mode().unwrap(),
            owner: number(header.uid().unwrap()),
            group: number(header.gid().unwrap()),
            modified: header.mtime().unwrap(),
            link: header.link_name_bytes().unwrap_or_default().into_owned(),
            node: node(header),
            capability: None,
            content,
        }
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        let number = || std::str::from_utf8(value).unwrap();
        match name {
            "path" => self.path = value.to_vec(),
            "linkpath" => self.link = value.to_vec(),
            "uid" => self.owner = number().parse().unwrap(),
            "gid" => self.group = number().parse().unwrap(),
            "mtime" => self.modified = number().parse().unwrap(),
            _ => {
                assert_eq!(
                    name.strip_prefix("SCHILY.xattr."),
                    Some(CAPABILITY_ATTRIBUTE)
                );
                self.capability = Some(value.to_vec());
            }
        }
    }
}

/// Only devices have numbers there.
fn node(header: &Header) -> (u32, u32) {
    match header.entry_type() {
        EntryType::Block | EntryType::Char => {
            let number = |field: std::io::Result<Option<u32>>| field.unwrap().unwrap();
            (number(header.device_major()), number(header.device_minor()))
        }
        _ => (0, 0),
    }
}

pub fn read(tar: &[u8]) -> Vec<ReadEntry> {
    let mut archive = Archive::new(tar);
    let mut entries = Vec::new();
    let mut records = Vec::new();
    for entry in archive.entries().unwrap().raw(true) {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        if entry.header().entry_type() == EntryType::XHeader {
            assert!(records.is_empty(), "records of records");
            records = content;
            continue;
        }
        let mut read = ReadEntry::of(entry.header(), content);
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            rest = take_record(&mut read, rest);
        }
        records.clear();
        entries.push(read);
    }
    assert!(records.is_empty(), "records of nothing");
    entries
}

/// pax(1): `LENGTH NAME=VALUE`, a line end, the length being that of all of it. Returns what follows.
fn take_record<'a>(entry: &mut ReadEntry, records: &'a [u8]) -> &'a [u8] {
    let blank = records.iter().position(|byte| *byte == b' ').unwrap();
    let length = std::str::from_utf8(&records[..blank]).unwrap();
    let (record, rest) = records.split_at(length.parse().unwrap());
    let record = record[blank + 1..].strip_suffix(b"\n").unwrap();
    let equals = record.iter().position(|byte| *byte == b'=').unwrap();
    let name = std::str::from_utf8(&record[..equals]).unwrap();
    entry.set(name, &record[equals + 1..]);
    rest
}
