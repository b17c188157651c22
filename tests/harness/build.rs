//! Builds the probe statically and hands its path to the library, which embeds it.
//!
//! A cargo of its own, as only the probe is to be linked statically, with a target
//! directory of its own, as the outer cargo holds the lock on the other. So plain
//! `cargo test` has a probe that fits, whoever calls it.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../probe/src");
    println!("cargo::rerun-if-changed=../probe/Cargo.toml");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("probe");
    let status = Command::new(env::var_os("CARGO").expect("cargo sets CARGO"))
        .args([
            "rustc",
            "--quiet",
            "--release",
            "--manifest-path",
            "../probe/Cargo.toml",
        ])
        .args(["--bin", "probe", "--target-dir"])
        .arg(&target)
        .args(["--", "-C", "target-feature=+crt-static"])
        // clippy-driver in the place of rustc would check the probe and not build it.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the probe does not build");
    println!(
        "cargo::rustc-env=PROBE={}",
        target.join("release/probe").display()
    );
}
