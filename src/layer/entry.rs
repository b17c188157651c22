//! One entry of the archive: its header, and PAX records for what the header's fields cannot say.

use std::mem::take;
use std::ops::Range;

use rustix::fs::FileType;
use tar::{EntryType, Header};

use super::records::{NAME_FIELD, Records};
use crate::capture::scan::Node;

/// The ustar header's fields: names, and numbers of seven and of eleven octal digits.
const LINK_FIELD: Range<usize> = 157..257;
const PREFIX_FIELD: Range<usize> = 345..500;
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
    records: Records,
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
            records: Records::default(),
        }
    }

    pub fn linking_to(self, link: Vec<u8>) -> Self {
        Self { link, ..self }
    }

    /// The only extended attribute that a layer keeps.
    pub fn set_capability(&mut self, capability: Option<Vec<u8>>) {
        if let Some(value) = capability {
            self.records.add(CAPABILITY_RECORD, &value);
        }
    }

    /// The header, and the records for what does not fit it, with theirs.
    pub fn encode(mut self) -> (Header, Option<(Header, Records)>) {
        let mut header = Header::new_ustar();
        header.set_entry_type(self.kind);
        header.set_mode(self.mode);
        let (path, link) = (take(&mut self.path), take(&mut self.link));
        self.put_path(&mut header, &path);
        self.put_text(&mut header, "linkpath", &link, LINK_FIELD);
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
        let records = self.records;
        let records = (!records.is_empty()).then(|| (records.header(&path), records));
        (header, records)
    }

    /// In two fields where it is too long for one, so that readers of ustar alone find it.
    fn put_path(&mut self, header: &mut Header, path: &[u8]) {
        match split(path) {
            Some((prefix, name)) => {
                put(header, PREFIX_FIELD, prefix);
                put(header, NAME_FIELD, name);
            }
            None => self.put_text(header, "path", path, NAME_FIELD),
        }
    }

    fn put_text(
        &mut self,
        header: &mut Header,
        record: &'static str,
        text: &[u8],
        field: Range<usize>,
    ) {
        let mut shown = text;
        if text.len() > field.len() {
            shown = &text[..field.len()];
            // Some readers take a file with a slash at the end of the field for a directory (Go's archive/tar).
            while let Some(shorter) = shown.strip_suffix(b"/") {
                shown = shorter;
            }
        }
        put(header, field, shown);
        // A record is UTF-8: of what is none, the field alone tells readers what it is, as long as it fits.
        let is_foreign = !text.is_ascii() && std::str::from_utf8(text).is_ok();
        if shown.len() < text.len() || is_foreign {
            self.records.add(record, text);
        }
    }

    /// The number, or 0 where it does not fit and a record says it.
    fn fitting(&mut self, record: &'static str, value: u64, most: u64) -> u64 {
        if value <= most {
            return value;
        }
        self.records.add(record, value.to_string().as_bytes());
        0
    }
}

/// Where a slash divides a path so that the parts fit the fields for both; as late as possible, as Go does.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.len() <= NAME_FIELD.len() || !path.is_ascii() {
        return None;
    }
    let most = path.len().saturating_sub(1).min(PREFIX_FIELD.len() + 1);
    let slash = path[..most].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, name) = (&path[..slash], &path[slash + 1..]);
    (!prefix.is_empty() && name.len() <= NAME_FIELD.len()).then_some((prefix, name))
}

/// Text that is no longer than its field.
fn put(header: &mut Header, field: Range<usize>, text: &[u8]) {
    header.as_mut_bytes()[field][..text.len()].copy_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(entry: Entry) -> String {
        let records = entry.encode().1;
        records.map_or(String::new(), |(_, records)| {
            String::from_utf8_lossy(records.bytes()).into_owned()
        })
    }

    #[test]
    fn what_does_not_fit_its_field_has_a_record() {
        let mut entry = Entry::blank(vec![b'x'; 101], EntryType::Regular);
        (entry.owner, entry.group) = (1 << 21, u32::MAX - 1);
        (entry.size, entry.modified) = (1 << 33, 1 << 33);
        let (header, records) = entry.encode();
        let expected = [
            &format!("111 path={}", "x".repeat(101)),
            "15 uid=2097152",
            "18 gid=4294967294",
            "19 size=8589934592",
            "20 mtime=8589934592",
        ];
        let (_, records) = records.unwrap();
        let records = str::from_utf8(records.bytes()).unwrap();
        assert_eq!(records.lines().collect::<Vec<_>>(), expected);
        assert_eq!(header.size().unwrap(), 1 << 33);
    }

    #[test]
    fn what_fits_has_none() {
        let mut entry = Entry::blank(vec![b'x'; 100], EntryType::Char).linking_to(vec![b'y'; 100]);
        (entry.owner, entry.group) = ((1 << 21) - 1, 0);
        (entry.size, entry.modified) = ((1 << 33) - 1, (1 << 33) - 1);
        entry.node = (4095, 1_048_575);
        let (header, records) = entry.encode();
        assert!(records.is_none());
        assert_eq!(header.device_major().unwrap(), Some(4095));
        assert_eq!(header.device_minor().unwrap(), Some(1_048_575));
        assert_eq!(header.mtime().unwrap(), (1 << 33) - 1);
    }

    #[test]
    fn only_text_is_put_into_a_record() {
        let entry = |path: &[u8]| Entry::blank(path.to_vec(), EntryType::Regular);
        assert!(records(entry(b"caf\xe9")).is_empty());
        assert_eq!(
            records(entry("caf\u{e9}".as_bytes())),
            "14 path=caf\u{e9}\n"
        );
        assert!(records(entry(&[0xe9; 101])).starts_with("111 path="));
    }

    fn header(path: &str) -> Header {
        Entry::blank(path.into(), EntryType::Regular).encode().0
    }

    #[test]
    fn a_path_that_fits_two_fields_needs_no_record() {
        let [folder, name] = ["f".repeat(155), "n".repeat(100)];
        for path in [
            format!("{folder}/{name}"),
            format!("a/{name}"),
            format!("{folder}/a/"),
        ] {
            assert_eq!(*header(&path).path_bytes(), *path.as_bytes());
            let entry = Entry::blank(path.into(), EntryType::Regular);
            assert_eq!(records(entry), "");
        }
        for path in [
            format!("{folder}f/{name}"),
            format!("{folder}/{name}n"),
            format!("/{name}"),
            format!("caf\u{e9}/{name}"),
        ] {
            let entry = Entry::blank(path.clone().into(), EntryType::Regular);
            assert!(records(entry).contains(&format!(" path={path}\n")));
        }
    }

    #[test]
    fn a_path_that_is_cut_does_not_look_like_a_directorys() {
        let path = format!("{}//{}", "x".repeat(98), "y".repeat(101));
        let name = header(&path).as_bytes()[NAME_FIELD].to_vec();
        assert_eq!(name, [&[b'x'; 98][..], &[0; 2]].concat());
    }
}
