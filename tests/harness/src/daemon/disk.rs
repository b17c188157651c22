//! The two file systems of a daemon's folder; the disk also serves alone.
//!
//! The disk is mounted through a loop device that the kernel detaches by itself with
//! the last unmount, so that even a killed caretaker leaves none behind for good.

use super::Options;
use crate::Result;
use crate::shell::outcome;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    Ext4,
    /// ext4 with inodes of 128 bytes, which have no room for parts of a second nor for a birth time.
    Ext4WholeSeconds,
    Xfs,
    Btrfs,
    /// In memory, without an image or a loop device.
    Tmpfs,
}

impl FileSystem {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 | Self::Ext4WholeSeconds => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
            Self::Tmpfs => "tmpfs",
        }
    }

    /// ext4 may postpone its inode tables; the others have nothing to postpone.
    fn make_arguments(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 => &[
                "-q",
                "-F",
                "-E",
                "lazy_itable_init=1,lazy_journal_init=1,nodiscard",
            ],
            Self::Ext4WholeSeconds => &["-q", "-F", "-I", "128", "-E", "nodiscard"],
            Self::Xfs => &["-q", "-f", "-K"],
            Self::Btrfs => &["-q", "-f", "-K"],
            Self::Tmpfs => &[],
        }
    }

    /// No thread that fills ext4's tables in the background of a measurement.
    fn mount_options(self) -> &'static str {
        match self {
            Self::Ext4 | Self::Ext4WholeSeconds => "loop,noinit_itable",
            Self::Xfs | Self::Btrfs => "loop",
            Self::Tmpfs => "mode=755",
        }
    }
}

pub fn mount_disk(folder: &Path, options: &Options) -> Result {
    let file_system = options.file_system;
    let (image, target) = (folder.join("disk.img"), folder.join("disk"));
    fs::create_dir(&target)?;
    if file_system != FileSystem::Tmpfs {
        File::create(&image)?.set_len(options.disk_mib << 20)?;
        let mut make = Command::new(format!("mkfs.{}", file_system.name()));
        make.args(file_system.make_arguments());
        if let (FileSystem::Ext4, Some(inodes)) = (file_system, options.inodes) {
            make.args(["-N", &inodes.to_string()]);
        }
        outcome(make.arg(&image))?.succeeded()?;
    }
    let mut mount = Command::new("mount");
    mount.args(["-t", file_system.name(), "-o", file_system.mount_options()]);
    outcome(mount.arg(&image).arg(&target))?.succeeded()?;
    if options.direct_io {
        write_directly(&image)?;
    }
    Ok(())
}

/// As far as the file can: one in memory cannot, for one, and serves as it is.
fn write_directly(image: &Path) -> Result {
    let mut find = Command::new("losetup");
    find.args(["--noheadings", "--output", "NAME", "-j"]);
    let device = outcome(find.arg(image))?.succeeded()?.text();
    outcome(Command::new("losetup").args(["--direct-io=on", &device]))?;
    Ok(())
}

pub fn mount_run(folder: &Path) -> Result {
    let target = folder.join("run");
    fs::create_dir(&target)?;
    mount_tmpfs(&target, "mode=755")
}

/// A tmpfs with room for so much.
pub fn mount_small(target: &Path, kib: u64) -> Result {
    fs::create_dir_all(target)?;
    mount_tmpfs(target, &format!("mode=711,size={kib}k"))
}

fn mount_tmpfs(target: &Path, options: &str) -> Result {
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", options, "freezeframe-test"]);
    outcome(mount.arg(target))?.succeeded()?;
    Ok(())
}
