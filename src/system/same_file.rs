//! Whether two paths lead to one file, by whatever links.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// False where one of them leads nowhere.
pub fn is_same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|found| (found.dev(), found.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}
