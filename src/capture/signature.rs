//! What an inode looks like from outside, and what that says of its content.

use rustix::fs::{FileType, Statx};

use crate::system::clock::Moment;

/// What a tree's entry is. A whiteout is overlayfs's sign that a name of a lower layer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Directory,
    File,
    Symlink,
    Whiteout,
    /// A character or block device, or a FIFO: attributes are all it has.
    Special,
}

/// What tells an inode from its own past and from every other: equal signatures mean equal content, but for the cases
/// that `writers` and `clone` look after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    pub device: (u32, u32),
    pub inode: u64,
    birth: Moment,
    /// Type and permissions, as in `st_mode` of inode(7).
    pub mode: u32,
    pub owner: u32,
    pub group: u32,
    pub size: u64,
    pub modified: Moment,
    pub changed: Moment,
    pub links: u32,
    /// Major and minor number of a device node.
    pub node: (u32, u32),
    /// In units of 512 bytes.
    pub blocks: u64,
}

impl Signature {
    pub fn of(stat: &Statx) -> Self {
        let moment = |time: &rustix::fs::StatxTimestamp| Moment::new(time.tv_sec, time.tv_nsec);
        Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            birth: moment(&stat.stx_btime),
            mode: u32::from(stat.stx_mode),
            owner: stat.stx_uid,
            group: stat.stx_gid,
            size: stat.stx_size,
            modified: moment(&stat.stx_mtime),
            changed: moment(&stat.stx_ctime),
            links: stat.stx_nlink,
            node: (stat.stx_rdev_major, stat.stx_rdev_minor),
            blocks: stat.stx_blocks,
        }
    }

    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// The same inode in the same state. Blocks do not count: they are allocated late. All whiteouts are the same, and
    /// overlayfs makes many of them of one inode, whose link count each deletion moves.
    pub fn agrees_with(&self, other: &Self) -> bool {
        if self.kind() == Some(Kind::Whiteout) {
            return other.kind() == Some(Kind::Whiteout);
        }
        let without_blocks = |signature: &Self| Self {
            blocks: 0,
            ..signature.clone()
        };
        without_blocks(self) == without_blocks(other)
    }

    /// `None` for a socket, which no layer has.
    pub fn kind(&self) -> Option<Kind> {
        Some(match self.file_type() {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice if self.node == (0, 0) => Kind::Whiteout,
            FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => Kind::Special,
            _ => return None,
        })
    }
}
