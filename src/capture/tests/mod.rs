//! Soundness: whatever happens between the stages, the clone is what the source was at the last scan.
//!
//! The stages run as in `Capture`, without a container: the tests themselves change the source, at the moment that
//! each is about. Every file system on which equal signatures are relied on is a disk of its own. Needs root.

mod changes;
mod direct;
mod grain;
mod hostile;
mod in_flight;
mod mapping;
mod moves;
mod outside;
mod place;
mod random;
mod write_back;
mod writers;

use harness::FileSystem;

const PROVEN: [FileSystem; 4] = [
    FileSystem::Ext4,
    FileSystem::Ext4WholeSeconds,
    FileSystem::Xfs,
    FileSystem::Btrfs,
];
