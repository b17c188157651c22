//! The image that the same-tree containers start from: one thing below /tree for each
//! way in which a container may change what its image brought along.

use harness::image::{self, Entry};
use harness::{Container, Daemon, Result};

const GROUND: &str = "docker.io/library/ground:latest";

/// A file capability (`cap_net_raw+ep`) as the kernel stores it.
pub const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

pub fn container(daemon: &Daemon) -> Result<Container<'_>> {
    let entries = [files(), directories(), others()].concat();
    let image = image::base().clone().layer(entries);
    image.import(daemon, GROUND)?;
    Container::run(daemon, GROUND, &["sleep", "1000"])
}

fn files() -> Vec<Entry> {
    let names = [
        "deleted",
        "modified",
        "same-size",
        "touched",
        "chmodded",
        "linked",
        "renamed",
        "to-directory",
        "to-symlink",
        "replaced",
    ];
    let file = |name: &&str| Entry::file(&format!("tree/{name}"), format!("base {name}\n"));
    let mut entries = vec![Entry::directory("tree")];
    entries.extend(names.iter().map(file));
    entries.push(Entry::file("tree/chowned", "setuid").mode(0o4755));
    entries
}

fn directories() -> Vec<Entry> {
    let names = [
        "deleted-directory",
        "emptied",
        "recreated",
        "recreated-same",
        "renamed-directory",
        "to-file",
        "chmodded-directory",
        "untouched",
    ];
    let directory = |name: &&str| {
        let path = |below: &str| format!("tree/{name}{below}");
        [
            Entry::directory(&path("")),
            Entry::file(&path("/child"), "a child\n").owner(3, 4),
            Entry::file(&path("/other"), "another\n").mode(0o600),
            Entry::directory(&path("/nested")).mode(0o2750),
            Entry::file(&path("/nested/grandchild"), "a grandchild\n"),
        ]
    };
    names.iter().flat_map(directory).collect()
}

fn others() -> Vec<Entry> {
    let capable = |name: &str| {
        let file = Entry::file(&format!("tree/{name}"), format!("{name}\n")).mode(0o755);
        file.xattr("security.capability", &CAPABILITY)
    };
    vec![
        capable("capable"),
        capable("capable-chmodded"),
        capable("capable-renamed"),
        capable("capable-written"),
        capable("capable-linked"),
        Entry::file("tree/user-xattr", "x\n").xattr("user.base", b"from the base"),
        Entry::file("tree/pair-one", "linked twice\n"),
        Entry::hard_link("tree/pair-two", "tree/pair-one"),
        Entry::file("tree/trio-one", "linked thrice\n"),
        Entry::hard_link("tree/trio-two", "tree/trio-one"),
        Entry::hard_link("tree/trio-three", "tree/trio-one"),
        Entry::symlink("tree/symlink", "modified"),
        Entry::symlink("tree/symlink-to-directory", "untouched"),
        Entry::fifo("tree/fifo"),
        Entry::character_device("tree/device", 1, 5),
    ]
}
