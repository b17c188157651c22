//! The C runtime's entry point. The Rust runtime's own `main` is not used: it would ignore SIGPIPE and open closed
//! descriptors, and the real nerdctl must find both as we did.

#![no_main]

/// The standard library reads the arguments by itself (glibc hands them to initialisers).
///
/// SAFETY: this is the one definition of `main` in the program, with the signature that C gives it.
#[must_use]
#[unsafe(no_mangle)]
pub extern "C" fn main() -> i32 {
    freezeframe::run(std::env::args_os())
}
