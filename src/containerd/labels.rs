//! What containerd's labels are called.

/// Of a layer's blob, and of nothing else: the digest of the archive in it (core/images/labels of containerd's source).
pub const UNCOMPRESSED: &str = "containerd.io/uncompressed";

/// Of a configuration: the snapshot that its image was unpacked to, which stays as long as that (docs/garbage-collection.md).
pub fn snapshot(snapshotter: &str) -> String {
    format!("containerd.io/gc.ref.snapshot.{snapshotter}")
}

/// Of a manifest: the digest of what it names as `which`, which stays as long as that (docs/garbage-collection.md); of a
/// snapshot as well.
pub fn content(which: impl std::fmt::Display) -> String {
    format!("containerd.io/gc.ref.content.{which}")
}

/// What a manifest calls its configuration there: containerd (core/images, `ChildGCLabels`), and nerdctl's commit.
pub const CONFIG: [&str; 2] = ["config", "0"];
