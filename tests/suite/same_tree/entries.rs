//! What an entry of a tree can be, case by case.

use super::ground::{self, CAPABILITY};
use super::scene::{after, after_script};
use super::{ORACLE, OURS, changes};
use crate::FREEZEFRAME;
use harness::{Daemon, Kind, Result, View, commit_by_oracle};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Uid, XattrFlags, chownat, lsetxattr, makedev, mknodat,
};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

#[test]
fn types_and_modes_set_ids_and_sticky_bits() -> Result {
    let agreed = after(|tree| {
        for mode in [0, 0o644, 0o777, 0o1777, 0o2755, 0o4711, 0o7777] {
            let (file, folder) = (format!("f{mode:o}"), format!("d{mode:o}"));
            fs::write(tree.join(&file), "")?;
            fs::set_permissions(tree.join(&file), Permissions::from_mode(mode))?;
            fs::create_dir(tree.join(&folder))?;
            fs::set_permissions(tree.join(&folder), Permissions::from_mode(mode))?;
            let node = tree.join(format!("p{mode:o}"));
            mknodat(CWD, &node, FileType::Fifo, Mode::empty(), 0)?;
            fs::set_permissions(&node, Permissions::from_mode(mode))?;
        }
        Ok(())
    })?;
    for (name, mode) in [
        ("f7777", 0o7777),
        ("d2755", 0o2755),
        ("p4711", 0o4711),
        ("d0", 0),
    ] {
        assert_eq!(agreed.entry(name).mode, mode, "{name}");
    }
    Ok(())
}

#[test]
fn owners_up_to_the_largest() -> Result {
    const IDS: [u32; 6] = [1, 65_535, 2_097_151, 2_097_152, 1 << 31, u32::MAX - 1];
    let agreed = after(|tree| {
        for id in IDS {
            let path = |kind: &str| tree.join(format!("{kind}{id}"));
            fs::write(path("file"), "")?;
            fs::create_dir(path("folder"))?;
            symlink("nowhere", path("link"))?;
            mknodat(CWD, path("fifo"), FileType::Fifo, Mode::RUSR, 0)?;
            for kind in ["file", "folder", "link", "fifo"] {
                let (user, group) = (Uid::from_raw(id), Gid::from_raw(u32::MAX - 1 - id));
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                chownat(CWD, path(kind), Some(user), Some(group), flags)?;
            }
        }
        Ok(())
    })?;
    for id in IDS {
        let owner = agreed.entry(format!("link{id}")).owner;
        assert_eq!(owner, (id, u32::MAX - 1 - id));
    }
    Ok(())
}

#[test]
fn times_before_1970_far_ahead_and_with_parts_of_a_second() -> Result {
    let agreed = after(changes::owners_and_times)?;
    let time = |name: &str| agreed.entry(name).mtime;
    assert_eq!(time("time 8589934592 7"), 8_589_934_592);
    assert_eq!(time("folder of 1700000000 999999999/link"), 1_700_000_000);
    // What Go's clock does not reach, and what comes before it begins, containerd sets to 0.
    assert_eq!(time("time 9999999999 123456789"), 0);
    assert_eq!(time("time -2 500000000"), 0);
    Ok(())
}

#[test]
fn link_targets_up_to_4095_bytes() -> Result {
    let lengths = [1, 99, 100, 101, 255, 256, 1023, 4094, 4095];
    let agreed = after(|tree| {
        for length in lengths {
            symlink("t".repeat(length), tree.join(format!("link{length}")))?;
        }
        symlink("a\n\\b\u{1b} = \u{e4}", tree.join("odd"))?;
        Ok(())
    })?;
    for length in lengths {
        let target = Kind::Symlink("t".repeat(length).into());
        assert_eq!(*agreed.kind(format!("link{length}")), target);
    }
    Ok(())
}

#[test]
fn hard_links_within_the_upper_directory_and_to_files_copied_up() -> Result {
    let agreed = after_script(
        "mkdir made made/inner && echo one >made/one && ln made/one made/inner/two && ln made/one zz
         mkfifo made/fifo && ln made/fifo made/fifo-too
         ln -s nowhere made/symlink && ln made/symlink made/symlink-too
         mknod made/null c 1 3 && ln made/null made/null-too
         ln linked made/linked-here && ln renamed renamed-too && echo more >>renamed
         ln capable-linked made/capable
         rm trio-one && ln trio-two made/trio-four && ln made/trio-four made/trio-five
         echo more >>pair-one",
    )?;
    let first = |name: &str| agreed.entry(name).linked_to.clone();
    for names in [
        ["made/inner/two", "made/one", "zz"],
        ["made/fifo", "made/fifo-too", "made/fifo"],
        ["made/symlink", "made/symlink-too", "made/symlink"],
        ["made/null", "made/null-too", "made/null"],
        ["linked", "made/linked-here", "linked"],
        ["made/trio-five", "made/trio-four", "trio-two"],
    ] {
        assert!(first(names[0]).is_some(), "{names:?}");
        assert!(
            names.iter().all(|name| first(name) == first(names[0])),
            "{names:?}"
        );
    }
    assert_eq!(first("pair-one"), None);
    let capability = &agreed.entry("made/capable").xattrs["security.capability"];
    assert_eq!(capability[..], CAPABILITY);
    Ok(())
}

#[test]
fn devices_with_the_largest_numbers_and_fifos() -> Result {
    // Linux has 12 and 20 bits for them.
    let numbers = [(1, 3), (255, 255), (256, 256), (4095, 1_048_575)];
    let agreed = after(|tree| {
        for (major, minor) in numbers {
            let device = makedev(major, minor);
            for kind in [FileType::CharacterDevice, FileType::BlockDevice] {
                let path = tree.join(format!("{kind:?} {major} {minor}"));
                mknodat(CWD, path, kind, Mode::RUSR, device)?;
            }
        }
        let zero = tree.join("block 0 0");
        mknodat(CWD, zero, FileType::BlockDevice, Mode::RUSR, 0)?;
        let fifo = tree.join("new fifo");
        Ok(mknodat(CWD, fifo, FileType::Fifo, Mode::RUSR, 0)?)
    })?;
    for (major, minor) in numbers {
        let device = |kind| agreed.kind(format!("{kind:?} {major} {minor}"));
        let expected = Kind::CharacterDevice(major, minor);
        assert_eq!(*device(FileType::CharacterDevice), expected);
        assert_eq!(
            *device(FileType::BlockDevice),
            Kind::BlockDevice(major, minor)
        );
    }
    assert_eq!(*agreed.kind("block 0 0"), Kind::BlockDevice(0, 0));
    assert_eq!(*agreed.kind("new fifo"), Kind::Fifo);
    Ok(())
}

#[test]
fn sockets_are_left_out() -> Result {
    let agreed = after(|tree| {
        UnixListener::bind(tree.join("socket"))?;
        fs::hard_link(tree.join("socket"), tree.join("socket-too"))?;
        fs::create_dir(tree.join("sockets"))?;
        UnixListener::bind(tree.join("sockets/alone"))?;
        // What was there in the image stays, as the differ overlooks the socket in its place.
        fs::remove_file(tree.join("modified"))?;
        UnixListener::bind(tree.join("modified"))?;
        fs::remove_dir_all(tree.join("untouched"))?;
        UnixListener::bind(tree.join("untouched")).map(drop)?;
        Ok(())
    })?;
    assert!(!agreed.has("socket") && !agreed.has("sockets/alone"));
    assert!(agreed.has("sockets") && agreed.has("modified"));
    Ok(())
}

/// The differ overlooks the socket, and so takes the image's file to be still there. We do not.
#[test]
fn a_socket_in_a_directory_made_anew_brings_no_file_back() -> Result {
    let daemon = Daemon::start()?;
    let container = ground::container(&daemon)?;
    let emptied = container.root()?.join("tree/emptied");
    container.shell("rm -r /tree/emptied && mkdir /tree/emptied")?;
    UnixListener::bind(emptied.join("child"))?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    freezeframe.commit(&container, OURS, &[])?.succeeded()?;
    for view in [
        View::snapshot(&daemon, OURS)?,
        View::unpacked(&daemon, OURS)?,
    ] {
        assert!(!view.path().join("tree/emptied/child").exists());
    }
    commit_by_oracle(&container, ORACLE)?;
    let stock = View::snapshot(&daemon, ORACLE)?;
    let is_back = stock.path().join("tree/emptied/child").exists();
    assert!(is_back, "the differ has changed its ways");
    Ok(())
}

#[test]
fn sparse_files() -> Result {
    const MIB: u64 = 1 << 20;
    let agreed = after(|tree| {
        File::create(tree.join("hole"))?.set_len(50 * MIB)?;
        let ends = File::create(tree.join("ends"))?;
        ends.write_all_at(b"first", 0)?;
        ends.write_all_at(b"last", 64 * MIB)?;
        let middle = File::create(tree.join("middle"))?;
        middle.write_all_at(b"in the midst", 20 * MIB + 1)?;
        Ok(middle.set_len(70 * MIB + 3)?)
    })?;
    let size = |name: &str| match agreed.kind(name) {
        Kind::File { size, .. } => *size,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!(size("hole"), 50 * MIB);
    assert_eq!(size("ends"), 64 * MIB + 4);
    assert_eq!(size("middle"), 70 * MIB + 3);
    Ok(())
}

fn set(path: &Path, name: &str, value: &[u8]) -> Result {
    Ok(lsetxattr(path, name, value, XattrFlags::empty())?)
}

/// The kernel takes a file capability for every kind of inode, and the differ writes what it finds.
#[test]
fn file_capabilities_on_every_kind_of_entry() -> Result {
    const NAMES: [&str; 9] = [
        "file", "folder", "link", "fifo", "device", "block", "file too", "link too", "emptied",
    ];
    let agreed = after(|tree| {
        fs::write(tree.join("file"), "capable")?;
        fs::create_dir(tree.join("folder"))?;
        symlink("nowhere", tree.join("link"))?;
        fs::remove_file(tree.join("fifo"))?;
        mknodat(CWD, tree.join("fifo"), FileType::Fifo, Mode::RUSR, 0)?;
        mknodat(
            CWD,
            tree.join("block"),
            FileType::BlockDevice,
            Mode::RUSR,
            makedev(7, 7),
        )?;
        fs::hard_link(tree.join("file"), tree.join("file too"))?;
        fs::hard_link(tree.join("link"), tree.join("link too"))?;
        for name in NAMES {
            set(&tree.join(name), "security.capability", &CAPABILITY)?;
        }
        fs::remove_file(tree.join("capable"))?;
        fs::write(tree.join("capable"), "no longer")?;
        Ok(())
    })?;
    for name in NAMES {
        let value = agreed.entry(name).xattrs.get("security.capability");
        assert_eq!(value.map(Vec::as_slice), Some(&CAPABILITY[..]), "{name}");
    }
    assert!(agreed.entry("capable").xattrs.is_empty());
    Ok(())
}

#[test]
fn other_attributes_are_left_out() -> Result {
    let agreed = after(changes::attributes_of_made)?;
    for name in ["user", "trusted", "listed", "empty-directory"] {
        assert!(
            agreed.entry(format!("made/{name}")).xattrs.is_empty(),
            "{name}"
        );
    }
    assert!(!agreed.entry("made/capable").xattrs.is_empty());
    Ok(())
}
