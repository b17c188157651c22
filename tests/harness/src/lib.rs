//! What the tests and the demo stand on: private containerds with real containers.
//!
//! A `Daemon` is a containerd with everything of its own (disk, sockets, state) that
//! vanishes whole when dropped, or when the process dies. In it run `Container`s made
//! from images that this library writes. `Freezeframe` and `Nerdctl` call the two
//! programs, `Heartbeat`, `Freezer` and `Leftovers` watch what they do, and `Tree`
//! compares what came out. `Filler` takes room away. Needs root, and the programs that tests/setup provides.

mod caretaker;
mod committing;
mod container;
mod ctr;
mod daemon;
mod disk;
mod filler;
mod freezeframe;
mod freezer;
mod haste;
mod heartbeat;
pub mod image;
mod leftovers;
mod nerdctl;
mod oracle;
mod pods;
pub mod probe;
mod registry;
mod shell;
pub mod standin;
mod tree;
mod view;

pub use caretaker::{Caretaker, clean, shim_socket};
pub use committing::{Commit, Committing, watchdog_of};
pub use container::Container;
pub use ctr::Ctr;
pub use daemon::{Daemon, FileSystem, Options};
pub use disk::Disk;
pub use filler::Filler;
pub use freezeframe::Freezeframe;
pub use freezer::Freezer;
pub use heartbeat::Heartbeat;
pub use image::BASE;
pub use leftovers::Leftovers;
pub use nerdctl::Nerdctl;
pub use oracle::commit_by_oracle;
pub use pods::{Pod, Pods};
pub use probe::check_law;
pub use registry::Registry;
pub use rustix::process::Signal;
pub use shell::{Outcome, outcome, own_program, printed, skipped, wait_until};
pub use tempfile::TempDir;
pub use tree::{Entry, Kind, Tree};
pub use view::{View, chain_id};

pub type Result<T = ()> = anyhow::Result<T>;
