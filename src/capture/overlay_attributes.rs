//! What overlayfs notes in extended attributes (kernel: filesystems/overlayfs.rst), and which of those an upper directory
//! alone does not tell all of.

use std::io;
use std::os::fd::BorrowedFd;

use anyhow::{Result, ensure};

use crate::plan::Obstacle;
use crate::system::attributes::Attributes;

/// A file that has so much of its own writing as a whiteout is none.
pub const WHITEOUT_ATTRIBUTE: &str = "trusted.overlay.whiteout";
pub const OPAQUE_ATTRIBUTE: &str = "trusted.overlay.opaque";
/// Attributes of a merged view that an upper directory alone does not show (kernel: filesystems/overlayfs.rst).
const MERGED_ONLY: [&str; 2] = ["trusted.overlay.redirect", "trusted.overlay.metacopy"];

/// Whether a directory hides what is below it. "x" marks one with whiteouts in extended attributes, which hides nothing by
/// itself.
pub fn is_opaque(attributes: &Attributes) -> io::Result<bool> {
    let value = attributes.value(OPAQUE_ATTRIBUTE)?;
    Ok(value.is_some_and(|value| value == b"y"))
}

/// The attributes of an entry.
///
/// # Errors
/// `Obstacle`: the upper directory does not hold all of it. What it lacks is in the merged view, which the differ reads.
pub fn own_attributes(file: BorrowedFd<'_>) -> Result<Attributes<'_>> {
    let attributes = Attributes::of(file)?;
    for name in MERGED_ONLY {
        ensure!(
            attributes.value(name)?.is_none(),
            Obstacle(format!(
                "overlayfs keeps part of it in a lower layer ({name})"
            ))
        );
    }
    Ok(attributes)
}
