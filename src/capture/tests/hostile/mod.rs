//! Trees that somebody hostile makes, and changes while they are walked as root: nothing outside of them is read, nothing
//! hangs, and time and memory are bounded by what was seen.

mod deep;
mod floods;
mod growing;
mod swaps;
