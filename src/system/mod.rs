//! The operating system, made safe: every `unsafe` block of the program, and every call that needs one, is in this folder.
//!
//! What is here knows nothing of containers. Names are bytes, descriptors close themselves, and nothing in a tree that
//! somebody else can change is reached through a symbolic link.

pub mod attributes;
pub mod cache;
pub mod capacity;
pub mod check;
pub mod children;
pub mod clock;
pub mod descriptors;
pub mod extents;
pub mod file;
pub mod identity;
pub mod limits;
pub mod lock;
#[cfg(test)]
pub mod memory;
pub mod mounts;
pub mod output;
pub mod priority;
pub mod privileges;
pub mod same_file;
pub mod signals;
pub mod sync;
pub mod terminal;
pub mod text;
pub mod tree;
pub mod unnamed_file;
pub mod workers;
