//! Lines on standard error, in the form that nerdctl's have when they do not go to a terminal (logrus, `text_formatter.go`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use prost_types::Timestamp;

static DEBUG: AtomicBool = AtomicBool::new(false);

pub fn enable_debug() {
    DEBUG.store(true, Ordering::Relaxed);
}

pub fn debug_is_on() -> bool {
    DEBUG.load(Ordering::Relaxed)
}

pub fn debug(message: &str) {
    if debug_is_on() {
        print("debug", message);
    }
}

pub fn warning(message: &str) {
    print("warning", message);
}

pub fn fatal(message: &str) {
    print("fatal", message);
}

/// A line that cannot be written has nobody to read it.
fn print(level: &str, message: &str) {
    use std::io::Write;
    let now = Timestamp::from(SystemTime::now());
    let time = Timestamp { nanos: 0, ..now };
    let line = format!("time=\"{time}\" level={level} msg={message:?}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
