//! What the steps of the pipeline hand on: pieces of one size, a few of which may wait for each step.

/// In bytes. No piece is longer, and only the last one shorter.
pub const PIECE: usize = 1 << 20;
/// How many pieces may wait for a step.
pub const AHEAD: usize = 4;
