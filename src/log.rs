//! Lines on standard error, in the two forms that nerdctl's have: for a terminal and for everything else (logrus,
//! `text_formatter.go`).

use std::io::{IsTerminal, stderr};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use prost_types::Timestamp;

use crate::system::output::write_all;
use crate::system::text::{printable_lines, quoted};

static DEBUG: AtomicBool = AtomicBool::new(false);

pub fn enable_debug() {
    DEBUG.store(true, Ordering::Relaxed);
}

/// A level's name in a file, on a terminal, and its colour there (ECMA-48, SGR).
struct Level {
    name: &'static str,
    short: &'static str,
    colour: u8,
}

const DEBUG_LEVEL: Level = Level {
    name: "debug",
    short: "DEBU",
    colour: 37,
};
const INFORMATION_LEVEL: Level = Level {
    name: "info",
    short: "INFO",
    colour: 36,
};
const WARNING_LEVEL: Level = Level {
    name: "warning",
    short: "WARN",
    colour: 33,
};
const FATAL_LEVEL: Level = Level {
    name: "fatal",
    short: "FATA",
    colour: 31,
};

pub fn debug(message: &str) {
    if DEBUG.load(Ordering::Relaxed) {
        print(&DEBUG_LEVEL, message);
    }
}

pub fn information(message: &str) {
    print(&INFORMATION_LEVEL, message);
}

pub fn warnings<T: AsRef<str>>(messages: &[T]) {
    for message in messages {
        print(&WARNING_LEVEL, message.as_ref());
    }
}

pub fn fatal(message: &str) {
    print(&FATAL_LEVEL, message);
}

fn print(level: &Level, message: &str) {
    let Level {
        name,
        short,
        colour,
    } = level;
    let line = if stderr().is_terminal() {
        let message = printable_lines(message);
        // logrus counts seconds since the start, and pads what its fields would follow, with a blank before them.
        format!("\x1b[{colour}m{short}\x1b[0m[0000] {message:<44} \n")
    } else {
        let now = Timestamp::from(SystemTime::now());
        let time = Timestamp { nanos: 0, ..now };
        format!("time=\"{time}\" level={name} msg={}\n", quoted(message))
    };
    // A line that cannot be written has nobody to read it.
    let _ = write_all(stderr().as_fd(), line.as_bytes());
}
