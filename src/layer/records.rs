//! PAX records (pax(1), "pax Extended Header"), and the header of the member that has those of the next one.

use std::io::Write;
use std::ops::Range;

use tar::{EntryType, Header};

/// Of the ustar header.
pub const NAME_FIELD: Range<usize> = 0..100;
/// Go's archive/tar puts this folder below the entry's own, which is left out here.
const FOLDER: &[u8] = b"PaxHeaders.0";

/// As they are written, one after the other.
#[derive(Default)]
pub struct Records(Vec<u8>);

impl Records {
    pub fn add(&mut self, name: &str, value: &[u8]) {
        // The blank, the equals sign and the line end.
        let rest = name.len() + value.len() + 3;
        let digits = |number: usize| number.to_string().len();
        let mut length = rest + digits(rest);
        length = rest + digits(length);
        // A vector takes all that is written to it.
        let _ = write!(self.0, "{length} {name}=");
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The header before them, where the next member is `path`. It needs a name: busybox's tar takes one without for the
    /// archive's end.
    pub fn header(&self, path: &[u8]) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_size(self.0.len() as u64);
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let name = path.rsplit(|byte| *byte == b'/').next();
        let mut text = FOLDER.to_vec();
        text.extend(b"/");
        text.extend(name.into_iter().flatten().filter(|byte| byte.is_ascii()));
        text.truncate(NAME_FIELD.len());
        // One at the end would make it a directory's.
        let text = text.strip_suffix(b"/").unwrap_or(&text);
        header.as_mut_bytes()[NAME_FIELD][..text.len()].copy_from_slice(text);
        header.set_cksum();
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_has_the_length_of_itself() {
        for size in (0..200).chain(980..1000).chain(9970..10_010) {
            let mut records = Records::default();
            records.add("path", &vec![b'x'; size]);
            let text = String::from_utf8(records.0).unwrap();
            let (length, rest) = text.split_once(' ').unwrap();
            assert_eq!(length.parse(), Ok(text.len()), "{size}");
            assert!(rest.starts_with("path=") && rest.ends_with('\n'));
        }
    }

    #[test]
    fn their_header_has_a_name_that_is_no_directorys() {
        let name = |path: &str| {
            let header = Records::default().header(path.as_bytes());
            String::from_utf8(header.path_bytes().into_owned()).unwrap()
        };
        assert_eq!(name("a/b/caf\u{e9}"), "PaxHeaders.0/caf");
        assert_eq!(name("a/b/"), "PaxHeaders.0/b");
        assert_eq!(name("a/\u{e9}"), "PaxHeaders.0");
        let long = "x".repeat(255);
        assert_eq!(name(&long), format!("PaxHeaders.0/{}", &long[..87]));
    }
}
