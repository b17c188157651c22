//! All that a container can do to its tree.
//!
//! The shell inside does what a shell can say. The rest (odd names, times, owners,
//! devices, extended attributes) is done through the container's root as the host sees
//! it, which is the same overlay mount.

use super::ground::CAPABILITY;
use harness::{Container, Result};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chownat, lsetxattr,
    makedev, mknodat, utimensat,
};
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

const TO_THE_BASE: &str = "
    cd /tree
    rm deleted
    rm -r deleted-directory emptied/* recreated recreated-same to-file
    mkdir recreated recreated-same
    echo new >recreated/new
    echo new >recreated-same/child
    mkdir recreated-same/nested && echo new >recreated-same/nested/new
    echo to-file >to-file
    rm to-directory && mkdir to-directory && echo in >to-directory/child
    rm to-symlink && ln -s modified to-symlink
    echo more >>modified
    touch -r same-size /stamp && echo BASE same-size >same-size && touch -r /stamp same-size
    rm /stamp
    touch touched
    chmod 4711 chmodded
    chown 11:12 chowned
    chmod 1777 chmodded-directory
    ln linked linked-here && mkdir far && ln linked far/linked-there
    mv renamed renamed-now
    mv renamed-directory renamed-directory-now
    echo replaced >replaced.new && mv replaced.new replaced
    chmod 700 capable-chmodded
    mv capable-renamed capable-renamed-now
    echo written >>capable-written
    ln capable-linked capable-linked-too
    chmod 600 user-xattr
    echo more >>pair-one
    rm trio-one && ln trio-two trio-four
    rm symlink-to-directory && mkdir symlink-to-directory && touch symlink-to-directory/child
    rm fifo && mkfifo -m 644 fifo
    chown 5:6 device
    chown -h 7:8 symlink";

const NEW: &str = "
    mkdir /tree/made && cd /tree/made
    touch empty && mkdir empty-directory
    echo one >one && ln one two && mkdir inner && ln one inner/three
    echo renamed >before && mv before after
    mkdir before-directory && echo child >before-directory/child
    mv before-directory after-directory
    ln -s nowhere dangling && ln -s inner to-a-directory && ln -s /etc/passwd absolute
    ln dangling dangling-too
    mkfifo fifo && ln fifo fifo-too && mknod null c 1 3 && ln null null-too
    echo secret >no-mode && chmod 0 no-mode && mkdir no-mode-directory
    chmod 0 no-mode-directory
    echo x >setuid && chmod 6755 setuid
    mkdir sticky && chmod 1777 sticky && mkdir setgid && chmod 2775 setgid
    echo gone >gone && rm gone
    mkdir -p deleted-and-back/child && rm -r deleted-and-back && mkdir deleted-and-back
    mkdir many && for i in $(seq 40); do echo $i >many/$i; done";

/// Changes that a clone of `make_all`'s tree has to follow, path by path.
const TURN_OVER: &str = "
    touch /tree/turned && cd /tree/made
    mv many many-moved && mv inner many && mv many-moved inner
    rm two && mkdir two && echo child >two/child
    rm -r after-directory && echo file >after-directory
    rm after && ln -s one after
    rm dangling && echo no link >dangling
    echo grown >>one && rm -r setgid && mkdir -p setgid/deeper && touch setgid/deeper/file
    chmod 640 no-mode && chown 99:98 empty
    touch -r setuid /stamp && echo y >setuid && touch -r /stamp setuid && rm /stamp
    rm fifo && touch fifo && rm null-too && mkfifo null-too
    rm capable && touch capable
    truncate -s 1000 megabytes && truncate -s 3000000 sparse
    cd /tree
    rm -r to-directory far && echo back >to-directory
    rm -r recreated-same && mkdir recreated-same && touch recreated-same/other
    rm to-file && mkdir to-file && touch to-file/child
    echo back >deleted && mkdir deleted-directory && touch deleted-directory/child
    rm -r untouched && rm linked-here && ln linked linked-elsewhere
    ln capable-linked-too capable-linked-three && rm capable-linked
    rm -r recreated && mv to-symlink recreated";

pub fn make_all(container: &Container) -> Result {
    container.shell(TO_THE_BASE)?;
    container.shell(NEW)?;
    let made = container.root()?.join("tree/made");
    names(&made)?;
    long_paths(&made)?;
    owners_and_times(&made)?;
    nodes(&made)?;
    attributes(&made)?;
    contents(&made)
}

pub fn turn_over(container: &Container) -> Result {
    container.shell(TURN_OVER).map(drop)
}

pub fn names(made: &Path) -> Result {
    let names: [&[u8]; 9] = [
        b"with space ",
        b"with\nnewline",
        b"caf\xe9, not UTF-8",
        "f\u{fc}r, UTF-8".as_bytes(),
        b"-dash",
        b"back\\slash",
        b"equals=sign",
        b"\x01\x7f\x1b[31m",
        b"...",
    ];
    for name in names {
        let path = made.join(OsStr::from_bytes(name));
        fs::create_dir(&path)?;
        fs::write(path.join(OsStr::from_bytes(name)), name)?;
        symlink(OsStr::from_bytes(name), path.join("link"))?;
        fs::hard_link(path.join(OsStr::from_bytes(name)), path.join("hard link"))?;
    }
    Ok(())
}

/// Around the 100 bytes of a header's field, and far beyond them.
pub fn long_paths(made: &Path) -> Result {
    let edge = made.join("edge");
    fs::create_dir(&edge)?;
    for length in 97..=103_usize {
        let name = "x".repeat(length - "tree/made/edge/f".len());
        fs::write(edge.join(format!("f{name}")), "edge")?;
        fs::hard_link(
            edge.join(format!("f{name}")),
            edge.join(format!("h{length}")),
        )?;
        fs::create_dir(edge.join(format!("d{name}")))?;
        symlink("y".repeat(length), edge.join(format!("s{length}")))?;
    }
    symlink("z".repeat(1000), edge.join("long link"))?;
    let long = made.join("l".repeat(200)).join("m".repeat(255));
    fs::create_dir_all(&long)?;
    fs::write(long.join("n".repeat(255)), "far away")?;
    fs::hard_link(long.join("n".repeat(255)), made.join("zz near"))?;
    let deep = (0..150).fold(made.join("deep"), |path, level| {
        path.join(level.to_string())
    });
    fs::create_dir_all(&deep)?;
    Ok(fs::write(deep.join("bottom"), "the bottom")?)
}

/// Before 1970, beyond what a header's field holds (2242), and beyond what fits 64 bits of
/// nanoseconds (2262); with parts of a second.
const TIMES: [(i64, i64); 8] = [
    (-1_000_000_000, 0),
    (-2, 500_000_000),
    (0, 0),
    (0, 1),
    (1_700_000_000, 999_999_999),
    (8_589_934_591, 0),
    (8_589_934_592, 7),
    (9_999_999_999, 123_456_789),
];

pub fn owners_and_times(made: &Path) -> Result {
    for id in [2_097_151, 2_097_152, 4_294_967_294] {
        let path = made.join(format!("owner {id}"));
        fs::write(&path, "")?;
        let (user, group) = (Uid::from_raw(id), Gid::from_raw(id));
        chownat(CWD, &path, Some(user), Some(group), AtFlags::empty())?;
    }
    for (tv_sec, tv_nsec) in TIMES {
        let time = Timespec { tv_sec, tv_nsec };
        let file = made.join(format!("time {tv_sec} {tv_nsec}"));
        fs::write(&file, "")?;
        set_time(&file, time)?;
        let folder = made.join(format!("folder of {tv_sec} {tv_nsec}"));
        fs::create_dir(&folder)?;
        symlink("x", folder.join("link"))?;
        set_time(&folder.join("link"), time)?;
        set_time(&folder, time)?;
    }
    Ok(())
}

pub fn set_time(path: &Path, time: Timespec) -> Result {
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

pub fn nodes(made: &Path) -> Result {
    let devices = [
        (
            "large character device",
            FileType::CharacterDevice,
            (511, 262_143),
        ),
        ("block device", FileType::BlockDevice, (7, 200)),
        ("block device 0:0", FileType::BlockDevice, (0, 0)),
    ];
    for (name, kind, (major, minor)) in devices {
        let permissions = Mode::from_raw_mode(0o640);
        mknodat(
            CWD,
            made.join(name),
            kind,
            permissions,
            makedev(major, minor),
        )?;
    }
    UnixListener::bind(made.join("socket"))?;
    Ok(())
}

/// In a new directory.
pub fn attributes_of_made(tree: &Path) -> Result {
    let made = tree.join("made");
    fs::create_dir_all(made.join("empty-directory"))?;
    attributes(&made)
}

fn attributes(made: &Path) -> Result {
    let set = |name: &str, attribute: &str, value: &[u8]| -> Result {
        Ok(lsetxattr(
            made.join(name),
            attribute,
            value,
            XattrFlags::empty(),
        )?)
    };
    for name in ["capable", "user", "trusted", "listed"] {
        fs::write(made.join(name), name)?;
        fs::set_permissions(made.join(name), Permissions::from_mode(0o640))?;
    }
    set("capable", "security.capability", &CAPABILITY)?;
    set("user", "user.note", b"a note")?;
    set("trusted", "trusted.note", b"a note")?;
    set("empty-directory", "user.note", b"a note")?;
    set("listed", "system.posix_acl_access", &access_list())
}

/// acl(5) as the kernel stores it: user 1000 may read what its group and others may not.
fn access_list() -> Vec<u8> {
    let entries: [(u16, u16, u32); 5] = [
        (0x01, 6, u32::MAX),
        (0x02, 4, 1000),
        (0x04, 0, u32::MAX),
        (0x10, 4, u32::MAX),
        (0x20, 0, u32::MAX),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

pub fn contents(made: &Path) -> Result {
    let pattern: Vec<u8> = (0..5_000_000_u32)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    fs::write(made.join("megabytes"), pattern)?;
    let sparse = File::create(made.join("sparse"))?;
    sparse.write_all_at(b"in the midst", 2_000_000)?;
    sparse.write_all_at(b"later", 4_100_001)?;
    sparse.set_len(8_000_001)?;
    Ok(File::create(made.join("only a hole"))?.set_len(1_000_000)?)
}
