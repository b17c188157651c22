//! In how many pieces a file's data lies on its disk (kernel: filesystems/fiemap.rst).

use std::io;
use std::os::fd::BorrowedFd;

use anyhow::Result;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};

use super::check::Check;
use super::file::Segment;

/// What is asked for at once: so many bytes have no more extents than are counted in milliseconds.
const BYTES_AT_ONCE: usize = 64 << 20;
/// `FS_IOC_FIEMAP` of linux/fs.h.
const FIEMAP: Opcode = opcode::read_write::<Map>(b'f', 11);

/// `struct fiemap` of linux/fiemap.h; without room for extents the kernel counts them.
#[derive(Default)]
#[repr(C)]
struct Map {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    room: u32,
    reserved: u32,
}

/// Whether `data` of `file` lies in more extents than `most`; false where the file system does not tell.
pub fn are_more_than(
    file: BorrowedFd<'_>,
    data: &[Segment],
    most: u64,
    check: &Check,
) -> Result<bool> {
    // Each piece is one at least.
    let mut all = data.len() as u64;
    for segment in data {
        for part in segment.parts(BYTES_AT_ONCE) {
            if all > most {
                return Ok(true);
            }
            check()?;
            let Ok(found) = count(file, part) else {
                return Ok(false);
            };
            // The first is that of the piece, or reaches into this part from the one before.
            all += found.saturating_sub(1);
        }
    }
    Ok(all > most)
}

fn count(file: BorrowedFd<'_>, part: Segment) -> io::Result<u64> {
    let mut map = Map {
        start: part.offset,
        length: part.length,
        ..Map::default()
    };
    // SAFETY: the kernel reads and fills one structure of that layout, as the opcode says, and no more where this has room
    // for none.
    unsafe { ioctl(file, Updater::<FIEMAP, Map>::new(&mut map)) }?;
    Ok(map.mapped.into())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use harness::{Disk, FileSystem};

    use super::super::file::segments;
    use super::*;

    #[test]
    fn extents_are_counted_as_far_as_asked() {
        for file_system in [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs] {
            let disk = Disk::new(file_system).unwrap();
            let file = File::create_new(disk.path().join("file")).unwrap();
            let block = [1; 4096];
            let offsets = (0..10).map(|number| 2 * number * block.len() as u64);
            for offset in offsets {
                file.write_all_at(&block, offset).unwrap();
            }
            file.sync_all().unwrap();
            let length = file.metadata().unwrap().len();
            let whole = Segment { offset: 0, length };
            let data = segments(file.as_fd(), length, &|| Ok(())).unwrap();
            for data in [&[whole][..], &data] {
                let more = |most| are_more_than(file.as_fd(), data, most, &|| Ok(())).unwrap();
                assert_eq!((more(9), more(10)), (true, false), "{file_system:?}");
            }
        }
    }
}
