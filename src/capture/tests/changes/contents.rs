//! What changes the bytes of a file, or where its holes are.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

use super::{Change, write};

const BLOCK: u64 = 4096;
const BLOCKS: u64 = 16;

pub const CHANGES: [Change; 14] = [
    Change {
        name: "rewritten",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| write(folder, "file", "two"),
        back: |folder| write(folder, "file", "one"),
    },
    Change {
        name: "rewritten-in-place",
        before: blocks,
        apply: |folder| open(folder).write_all_at(b"two", 5 * BLOCK).unwrap(),
        back: |folder| open(folder).write_all_at(b"ooo", 5 * BLOCK).unwrap(),
    },
    Change {
        name: "rewritten-with-its-times-set-back",
        before: |folder| write_dated(folder, "one"),
        apply: |folder| write_dated(folder, "two"),
        back: |folder| write_dated(folder, "six"),
    },
    Change {
        name: "extended",
        before: blocks,
        apply: |folder| open(folder).set_len(3 * BLOCKS * BLOCK).unwrap(),
        back: |folder| open(folder).set_len(BLOCKS * BLOCK).unwrap(),
    },
    Change {
        name: "appended-to",
        before: blocks,
        apply: |folder| open(folder).write_all_at(b"more", BLOCKS * BLOCK).unwrap(),
        back: |folder| open(folder).set_len(BLOCKS * BLOCK).unwrap(),
    },
    Change {
        name: "truncated",
        before: blocks,
        apply: |folder| open(folder).set_len(BLOCK + 1).unwrap(),
        back: blocks,
    },
    Change {
        name: "truncated-and-extended-again",
        before: blocks,
        apply: |folder| {
            open(folder).set_len(0).unwrap();
            open(folder).set_len(BLOCKS * BLOCK).unwrap();
        },
        back: blocks,
    },
    Change {
        name: "emptied",
        before: blocks,
        apply: |folder| write(folder, "file", ""),
        back: blocks,
    },
    Change {
        name: "allocated",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| allocate(folder, FallocateFlags::empty(), 0, 8 * BLOCK),
        back: |folder| open(folder).set_len(3).unwrap(),
    },
    Change {
        name: "allocated-beyond-its-end",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| allocate(folder, FallocateFlags::KEEP_SIZE, 0, 8 * BLOCK),
        back: |folder| write(folder, "file", "two"),
    },
    Change {
        name: "with-a-hole-punched",
        before: blocks,
        apply: |folder| {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            allocate(folder, flags, BLOCK, 3 * BLOCK);
        },
        back: blocks,
    },
    Change {
        name: "with-a-range-zeroed",
        before: blocks,
        apply: |folder| allocate(folder, FallocateFlags::ZERO_RANGE, BLOCK, BLOCK),
        back: blocks,
    },
    Change {
        name: "with-a-range-collapsed-and-one-inserted",
        before: blocks,
        apply: |folder| {
            allocate(folder, FallocateFlags::COLLAPSE_RANGE, 4 * BLOCK, BLOCK);
            allocate(folder, FallocateFlags::INSERT_RANGE, 8 * BLOCK, BLOCK);
        },
        back: blocks,
    },
    Change {
        name: "with-its-hole-filled",
        before: |folder| {
            write(folder, "file", "");
            open(folder).set_len(BLOCKS * BLOCK).unwrap();
        },
        apply: |folder| open(folder).write_all_at(b"data", 7 * BLOCK).unwrap(),
        back: |folder| {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            allocate(folder, flags, 7 * BLOCK, BLOCK);
        },
    },
];

/// A file without holes, every block another.
fn blocks(folder: &Path) {
    let bytes: Vec<u8> = (0..BLOCKS * BLOCK)
        .map(|byte| u8::try_from(byte / BLOCK).unwrap() + b'a')
        .collect();
    fs::write(folder.join("file"), bytes).unwrap();
}

fn open(folder: &Path) -> File {
    let file = File::options().write(true).open(folder.join("file"));
    file.unwrap()
}

fn write_dated(folder: &Path, text: &str) {
    write(folder, "file", text);
    let times = FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
    open(folder).set_times(times).unwrap();
}

fn allocate(folder: &Path, flags: FallocateFlags, offset: u64, length: u64) {
    match fallocate(open(folder), flags, offset, length) {
        // btrfs knows neither collapsing nor inserting.
        Ok(()) | Err(Errno::OPNOTSUPP) => {}
        Err(error) => panic!("{flags:?}: {error}"),
    }
}
