//! The image that most containers of the tests run.
//!
//! busybox with its applets and the probe, in two layers; the second holds one of
//! everything that a commit may find changed, moved or removed above it.

use super::{Entry, Image};
use crate::probe;
use crate::shell::outcome;
use std::process::Command;
use std::sync::OnceLock;

/// A file capability (`cap_net_raw+ep`) as the kernel stores it.
const CAPABILITY: [u8; 20] = [
    1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

pub fn base() -> &'static Image {
    static BASE: OnceLock<Image> = OnceLock::new();
    BASE.get_or_init(|| Image::default().layer(programs()).layer(furniture()))
}

fn programs() -> Vec<Entry> {
    let folders = [
        "bin",
        "dev",
        "etc",
        "proc",
        "root",
        "sys",
        "tmp",
        "heartbeat",
    ];
    let mut entries: Vec<_> = folders.iter().map(|name| Entry::directory(name)).collect();
    entries.push(Entry::file("bin/busybox", busybox()).mode(0o755));
    let applets = applets().into_iter().filter(|name| name != "busybox");
    entries.extend(applets.map(|name| Entry::symlink(&format!("bin/{name}"), "busybox")));
    entries.push(Entry::file("bin/probe", probe::PROGRAM).mode(0o755));
    entries.push(Entry::file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"));
    entries.push(Entry::file("etc/group", "root:x:0:\n"));
    entries
}

fn furniture() -> Vec<Entry> {
    let mut entries = vec![
        Entry::directory("srv"),
        Entry::directory("srv/nested"),
        Entry::directory("srv/nested/deeper")
            .mode(0o2775)
            .owner(1000, 1001),
        Entry::file("srv/nested/deeper/file", "from the base\n").owner(1000, 1001),
        Entry::file("srv/plain", "plain\n").mtime(1_500_000_001),
        Entry::file("srv/secret", "secret\n")
            .mode(0o600)
            .owner(7, 8),
        Entry::file("srv/setuid", "setuid\n").mode(0o4755),
        Entry::file("srv/capable", "capable\n")
            .mode(0o755)
            .xattr("security.capability", &CAPABILITY),
        Entry::file("srv/one", "linked twice\n"),
        Entry::hard_link("srv/other", "srv/one"),
        Entry::symlink("srv/link", "nested/deeper/file"),
        Entry::symlink("srv/dangling", "/no/such/place"),
        Entry::fifo("srv/fifo"),
        Entry::character_device("srv/null", 1, 3).mode(0o666),
        Entry::file("srv/umlaut-\u{e4}\u{f6}", "not ascii\n"),
        Entry::directory("srv/many"),
    ];
    let many =
        (0..50).map(|index| Entry::file(&format!("srv/many/{index:02}"), format!("{index}\n")));
    entries.extend(many);
    entries
}

/// Both from the busybox that tests/setup has made sure is there and static.
fn busybox() -> Vec<u8> {
    let found = std::env::var_os("PATH").into_iter();
    let folders = found.flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let read = folders.map(|folder| std::fs::read(folder.join("busybox")));
    read.flatten()
        .next()
        .expect("busybox is in PATH: source tests/setup")
}

fn applets() -> Vec<String> {
    let listed = outcome(Command::new("busybox").arg("--list"));
    let listed = listed
        .and_then(crate::Outcome::succeeded)
        .expect("busybox lists its applets");
    listed.text().lines().map(str::to_owned).collect()
}
