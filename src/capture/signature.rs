//! What an inode looks like from outside, and what that says of its content. 64 bytes, as a scan holds one per path.

use rustix::fs::{FileType, Statx, major, makedev, minor};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    pub inode: u64,
    birth: Moment,
    /// The size in bytes, or the number of a device node, which has no size.
    size_or_node: u64,
    pub modified: Moment,
    pub changed: Moment,
    /// As the kernel counts devices: 12 bits and 20 (`MKDEV`, `linux/kdev_t.h`).
    device: u32,
    pub owner: u32,
    pub group: u32,
    pub links: u32,
    /// Allocated, in units of 4 KiB.
    pages: u32,
    mode: u16,
    pub kind: Kind,
}

/// What no other inode has, nor had, under any name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u32,
    inode: u64,
    birth: i64,
}

const MINOR_BITS: u32 = 20;
/// `statx(2)` counts blocks of 512 bytes.
const BLOCKS_PER_PAGE: u64 = 8;
const PAGE: u64 = 4096;

impl Signature {
    /// `None` for a socket, which no layer has.
    pub fn of(stat: &Statx) -> Option<Self> {
        let moment = |time: &rustix::fs::StatxTimestamp| Moment::new(time.tv_sec, time.tv_nsec);
        let node = makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
        let kind = kind_of(stat)?;
        let is_node = matches!(kind, Kind::Special | Kind::Whiteout);
        Some(Self {
            inode: stat.stx_ino,
            birth: moment(&stat.stx_btime),
            size_or_node: if is_node { node } else { stat.stx_size },
            modified: moment(&stat.stx_mtime),
            changed: moment(&stat.stx_ctime),
            device: stat.stx_dev_major << MINOR_BITS | stat.stx_dev_minor,
            owner: stat.stx_uid,
            group: stat.stx_gid,
            links: stat.stx_nlink,
            pages: u32::try_from(stat.stx_blocks.div_ceil(BLOCKS_PER_PAGE)).unwrap_or(u32::MAX),
            mode: stat.stx_mode,
            kind,
        })
    }

    pub fn identity(&self) -> Identity {
        Identity {
            device: self.device,
            inode: self.inode,
            birth: self.birth.0,
        }
    }

    /// In bytes.
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::Special | Kind::Whiteout => 0,
            _ => self.size_or_node,
        }
    }

    /// What is allocated of the size, in bytes of whole pages: holes are not.
    pub fn allocated(&self) -> u64 {
        self.size().div_ceil(PAGE).min(self.pages.into()) * PAGE
    }

    /// Major and minor number of a device node.
    pub fn node(&self) -> (u32, u32) {
        match self.kind {
            Kind::Special | Kind::Whiteout => (major(self.size_or_node), minor(self.size_or_node)),
            _ => (0, 0),
        }
    }

    /// Type and permissions, as in `st_mode` of inode(7).
    pub fn mode(&self) -> u32 {
        self.mode.into()
    }

    pub fn permissions(&self) -> u32 {
        self.mode() & 0o7777
    }

    pub fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode())
    }

    /// Whether other names may lead to the same inode.
    pub fn has_other_links(&self) -> bool {
        !matches!(self.kind, Kind::Directory | Kind::Whiteout) && self.links > 1
    }

    /// The same inode in the same state. What is allocated does not count: that is done late. All whiteouts are the same,
    /// and overlayfs makes many of them of one inode, whose link count each deletion moves.
    pub fn agrees_with(&self, other: &Self) -> bool {
        if self.kind == Kind::Whiteout {
            return other.kind == Kind::Whiteout;
        }
        let without_pages = |signature: &Self| Self {
            pages: 0,
            ..*signature
        };
        without_pages(self) == without_pages(other)
    }
}

fn kind_of(stat: &Statx) -> Option<Kind> {
    let is_blank = (stat.stx_rdev_major, stat.stx_rdev_minor) == (0, 0);
    Some(match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::Directory => Kind::Directory,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        FileType::CharacterDevice if is_blank => Kind::Whiteout,
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Fifo => Kind::Special,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_small() {
        assert_eq!(size_of::<Signature>(), 64);
    }
}
