//! One entry of the archive: its header, and PAX records for what the header's fields cannot say.

use std::mem::take;
use std::ops::Range;

use rustix::fs::FileType;
use tar::{EntryType, Header};

use crate::capture::scan::Node;

/// The ustar header's fields: names, and numbers of seven and of eleven octal digits.
const NAME_FIELD: Range<usize> = 0..100;
const LINK_FIELD: Range<usize> = 157..257;
const MOST_IN_SEVEN_DIGITS: u64 = 0o777_7777;
const MOST_IN_ELEVEN_DIGITS: u64 = 0o777_7777_7777;
const CAPABILITY_RECORD: &str = "SCHILY.xattr.security.capability";

/// An entry before it is cut to the header's fields.
pub struct Entry {
    kind: EntryType,
    path: Vec<u8>,
    link: Vec<u8>,
    mode: u32,
    owner: u32,
    group: u32,
    pub size: u64,
    modified: u64,
    node: (u32, u32),
    records: Vec<(&'static str, Vec<u8>)>,
}

impl Entry {
    /// The type of a device or FIFO.
    pub fn special_type(node: &Node) -> EntryType {
        match node.signature.file_type() {
            FileType::BlockDevice => EntryType::Block,
            FileType::Fifo => EntryType::Fifo,
            _ => EntryType::Char,
        }
    }

    pub fn new(node: &Node, path: Vec<u8>, kind: EntryType) -> Self {
        Self {
            mode: node.signature.permissions(),
            owner: node.signature.owner,
            group: node.signature.group,
            // The clone has no others.
            modified: u64::try_from(node.signature.modified.seconds().unwrap_or(0)).unwrap_or(0),
            node: node.signature.node(),
            ..Self::blank(path, kind)
        }
    }

    /// Mode, owner and time are 0, as containerd's differ has them.
    pub fn whiteout(path: Vec<u8>) -> Self {
        Self::blank(path, EntryType::Regular)
    }

    fn blank(path: Vec<u8>, kind: EntryType) -> Self {
        Self {
            kind,
            path,
            link: Vec::new(),
            mode: 0,
            owner: 0,
            group: 0,
            size: 0,
            modified: 0,
            node: (0, 0),
            records: Vec::new(),
        }
    }

    pub fn linking_to(self, link: Vec<u8>) -> Self {
        Self { link, ..self }
    }

    /// The only extended attribute that a layer keeps.
    pub fn set_capability(&mut self, capability: Option<Vec<u8>>) {
        let record = capability.map(|value| (CAPABILITY_RECORD, value));
        self.records.extend(record);
    }

    /// The header, and the records for what does not fit it.
    pub fn encode(mut self) -> (Header, Vec<(&'static str, Vec<u8>)>) {
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        let (path, link) = (take(&mut self.path), take(&mut self.link));
        self.put_text(&mut header, "path", path, NAME_FIELD);
        self.put_text(&mut header, "linkpath", link, LINK_FIELD);
        header.set_uid(self.fitting("uid", self.owner.into(), MOST_IN_SEVEN_DIGITS));
        header.set_gid(self.fitting("gid", self.group.into(), MOST_IN_SEVEN_DIGITS));
        // Readers may look at the header alone, so it has a large size as well, in a binary form.
        self.fitting("size", self.size, MOST_IN_ELEVEN_DIGITS);
        header.set_size(self.size);
        header.set_mtime(self.fitting("mtime", self.modified, MOST_IN_ELEVEN_DIGITS));
        if matches!(self.kind, EntryType::Char | EntryType::Block) {
            // A ustar header has both fields, and Linux no numbers above 4,095 and 1,048,575: seven digits hold them.
            let _ = header.set_device_major(self.node.0);
            let _ = header.set_device_minor(self.node.1);
        }
        header.set_cksum();
        (header, self.records)
    }

    fn put_text(
        &mut self,
        header: &mut Header,
        record: &'static str,
        text: Vec<u8>,
        field: Range<usize>,
    ) {
        let length = text.len().min(field.len());
        let target = &mut header.as_mut_bytes()[field.start..field.start + length];
        target.copy_from_slice(&text[..length]);
        // A record is UTF-8: of what is none, the field alone tells readers what it is, as long as it fits.
        let is_foreign = !text.is_ascii() && std::str::from_utf8(&text).is_ok();
        if length < text.len() || is_foreign {
            self.records.push((record, text));
        }
    }

    /// The number, or 0 where it does not fit and a record says it.
    fn fitting(&mut self, record: &'static str, value: u64, most: u64) -> u64 {
        if value <= most {
            return value;
        }
        self.records.push((record, value.to_string().into_bytes()));
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(entry: Entry) -> Vec<(&'static str, Vec<u8>)> {
        entry.encode().1
    }

    #[test]
    fn what_does_not_fit_its_field_has_a_record() {
        let mut entry = Entry::blank(vec![b'x'; 101], EntryType::Regular);
        (entry.owner, entry.group) = (1 << 21, u32::MAX - 1);
        (entry.size, entry.modified) = (1 << 33, 1 << 33);
        let (header, records) = entry.encode();
        let expected: [(&str, &[u8]); 5] = [
            ("path", &[b'x'; 101]),
            ("uid", b"2097152"),
            ("gid", b"4294967294"),
            ("size", b"8589934592"),
            ("mtime", b"8589934592"),
        ];
        let records: Vec<_> = records
            .iter()
            .map(|(name, value)| (*name, value.as_slice()))
            .collect();
        assert_eq!(records, expected);
        assert_eq!(header.size().unwrap(), 1 << 33);
    }

    #[test]
    fn what_fits_has_none() {
        let mut entry = Entry::blank(vec![b'x'; 100], EntryType::Char).linking_to(vec![b'y'; 100]);
        (entry.owner, entry.group) = ((1 << 21) - 1, 0);
        (entry.size, entry.modified) = ((1 << 33) - 1, (1 << 33) - 1);
        entry.node = (4095, 1_048_575);
        let (header, records) = entry.encode();
        assert!(records.is_empty());
        assert_eq!(header.device_major().unwrap(), Some(4095));
        assert_eq!(header.device_minor().unwrap(), Some(1_048_575));
        assert_eq!(header.mtime().unwrap(), (1 << 33) - 1);
    }

    #[test]
    fn only_text_is_put_into_a_record() {
        let entry = |path: &[u8]| Entry::blank(path.to_vec(), EntryType::Regular);
        assert!(records(entry(b"caf\xe9")).is_empty());
        assert_eq!(records(entry("caf\u{e9}".as_bytes())).len(), 1);
        assert_eq!(records(entry(&[0xe9; 101])).len(), 1);
    }
}
