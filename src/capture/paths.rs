//! Paths that containerd can follow: it looks at a snapshot by whole ones (continuity, `fs.DiskUsage`), ours go from one open
//! directory to the next.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Result, ensure};

use super::scan::Scan;
use crate::system::text::printable;

/// In bytes (linux/limits.h: `PATH_MAX`, which counts the zero at the end).
const LONGEST: usize = 4095;
/// Of a path that is too long, so many bytes are shown.
const SHOWN: usize = 200;

/// # Errors
/// A path is too long where the clone is, which is to become `upper`.
pub fn check(upper: &Path, scan: &Scan) -> Result<()> {
    let most = LONGEST.saturating_sub(upper.as_os_str().as_bytes().len());
    let mut lengths = vec![0; scan.nodes().len()];
    for index in scan.entries() {
        let length = lengths[scan.parent(index)] + 1 + scan.name(index).len();
        lengths[index] = length;
        ensure!(
            length <= most,
            "the container has a path of {length} bytes, and where containerd keeps the image no more than {most} can be: {}…",
            printable(&scan.path(index)[..SHOWN.min(length - 1)])
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::tree::Tree;

    #[test]
    fn a_path_fits_where_the_snapshot_is_or_is_refused() {
        let folder = harness::TempDir::new().unwrap();
        std::fs::create_dir_all(folder.path().join("a/bc")).unwrap();
        let scan = Scan::of(&Tree::open(folder.path()).unwrap()).unwrap();
        let check = |upper: usize| check(Path::new(&"/".repeat(upper)), &scan);
        check(4090).unwrap();
        let refusal = check(4091).unwrap_err().to_string();
        assert!(refusal.contains("a path of 5 bytes"), "{refusal}");
        assert!(
            refusal.ends_with("no more than 4 can be: a/bc…"),
            "{refusal}"
        );
    }
}
