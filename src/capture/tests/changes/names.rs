//! What changes the names that lead to an inode, and what kind of inode that is.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Change, directory, remove, rename, write};

pub const CHANGES: [Change; 22] = [
    Change {
        name: "renamed",
        before: |folder| write(folder, "old", "one"),
        apply: |folder| rename(folder, "old", "new"),
        back: |folder| rename(folder, "new", "old"),
    },
    Change {
        name: "renamed-over",
        before: two_files,
        apply: |folder| rename(folder, "a", "b"),
        back: two_files,
    },
    Change {
        name: "replaced-by-a-new-file",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| replace(folder, "two"),
        back: |folder| replace(folder, "one"),
    },
    Change {
        name: "exchanged",
        before: two_files,
        apply: |folder| exchange(folder, "a", "b"),
        back: |folder| exchange(folder, "a", "b"),
    },
    Change {
        name: "rotated",
        before: |folder| {
            write(folder, "log", "one");
            write(folder, "log.1", "two");
        },
        apply: |folder| {
            rename(folder, "log.1", "log.2");
            rename(folder, "log", "log.1");
            write(folder, "log", "six");
        },
        back: |folder| {
            rename(folder, "log.1", "log");
            rename(folder, "log.2", "log.1");
        },
    },
    Change {
        name: "hard-linked",
        before: |folder| write(folder, "a", "one"),
        apply: |folder| link(folder, "a", "b"),
        back: |folder| remove(folder, "b"),
    },
    Change {
        name: "hard-linked-to-another",
        before: |folder| {
            two_files(folder);
            link(folder, "a", "c");
        },
        apply: |folder| {
            remove(folder, "c");
            link(folder, "b", "c");
        },
        back: |folder| {
            remove(folder, "c");
            link(folder, "a", "c");
        },
    },
    Change {
        name: "hard-link-renamed",
        before: |folder| {
            write(folder, "a", "one");
            link(folder, "a", "b");
        },
        apply: |folder| rename(folder, "a", "z"),
        back: |folder| rename(folder, "z", "a"),
    },
    Change {
        name: "written-through-another-name",
        before: |folder| {
            directory(folder, "directory");
            link(folder, "directory/below/b", "b");
        },
        apply: |folder| write(folder, "b", "through b"),
        back: |folder| write(folder, "directory/below/b", "through below"),
    },
    Change {
        name: "unlinked",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| remove(folder, "file"),
        back: |folder| write(folder, "file", "one"),
    },
    Change {
        name: "unlinked-and-made-again",
        before: |folder| write(folder, "file", "one"),
        apply: |folder| make_again(folder, "two"),
        back: |folder| make_again(folder, "one"),
    },
    Change {
        name: "directory-renamed",
        before: |folder| directory(folder, "old"),
        apply: |folder| rename(folder, "old", "new"),
        back: |folder| rename(folder, "new", "old"),
    },
    Change {
        name: "directories-exchanged",
        before: two_directories,
        apply: |folder| exchange(folder, "a", "b"),
        back: |folder| exchange(folder, "a", "b"),
    },
    Change {
        name: "directory-moved-into-another",
        before: two_directories,
        apply: |folder| rename(folder, "a", "b/below/a"),
        back: |folder| rename(folder, "b/below/a", "a"),
    },
    Change {
        name: "directory-that-took-anothers-place",
        before: two_directories,
        apply: |folder| {
            rename(folder, "a", "c");
            rename(folder, "b", "a");
        },
        back: |folder| {
            rename(folder, "a", "b");
            rename(folder, "c", "a");
        },
    },
    Change {
        name: "directory-removed",
        before: two_directories,
        apply: |folder| remove(folder, "a"),
        back: |folder| directory(folder, "a"),
    },
    Change {
        name: "directory-that-became-a-file",
        before: |folder| directory(folder, "a"),
        apply: |folder| {
            remove(folder, "a");
            write(folder, "a", "file");
        },
        back: |folder| {
            remove(folder, "a");
            directory(folder, "a");
        },
    },
    Change {
        name: "file-that-became-a-directory",
        before: |folder| write(folder, "a", "file"),
        apply: |folder| {
            remove(folder, "a");
            directory(folder, "a");
        },
        back: |folder| {
            remove(folder, "a");
            write(folder, "a", "file");
        },
    },
    Change {
        name: "directory-that-became-a-link-to-itself",
        before: |folder| directory(folder, "a"),
        apply: |folder| {
            rename(folder, "a", "b");
            point(folder, "a", "b");
        },
        back: |folder| {
            remove(folder, "a");
            rename(folder, "b", "a");
        },
    },
    Change {
        name: "link-that-points-elsewhere",
        before: |folder| point(folder, "link", "one"),
        apply: |folder| {
            remove(folder, "link");
            point(folder, "link", "two");
        },
        back: |folder| {
            remove(folder, "link");
            write(folder, "link", "a file");
        },
    },
    Change {
        name: "socket-that-became-a-file",
        before: |folder| drop(UnixListener::bind(folder.join("socket")).unwrap()),
        apply: |folder| {
            remove(folder, "socket");
            write(folder, "socket", "file");
        },
        back: |folder| {
            remove(folder, "socket");
            drop(UnixListener::bind(folder.join("socket")).unwrap());
        },
    },
    Change {
        name: "name-that-no-layer-can-carry",
        before: |folder| directory(folder, ".wh.a"),
        apply: |folder| rename(folder, ".wh.a", "a"),
        back: |folder| rename(folder, "a", ".wh.a"),
    },
];

fn two_files(folder: &Path) {
    write(folder, "a", "one");
    write(folder, "b", "two");
}

fn two_directories(folder: &Path) {
    directory(folder, "a");
    directory(folder, "b");
}

fn replace(folder: &Path, text: &str) {
    write(folder, "new", text);
    rename(folder, "new", "file");
}

fn make_again(folder: &Path, text: &str) {
    remove(folder, "file");
    write(folder, "file", text);
}

fn link(folder: &Path, old: &str, new: &str) {
    fs::hard_link(folder.join(old), folder.join(new)).unwrap();
}

fn point(folder: &Path, link: &str, target: &str) {
    symlink(target, folder.join(link)).unwrap();
}

fn exchange(folder: &Path, one: &str, other: &str) {
    let (one, other) = (folder.join(one), folder.join(other));
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}
