//! Limits of resources, which we raise as far as we may, as Go does for descriptors: what somebody set low for other programs
//! is no reason for a commit to fail.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of descriptors and of the sizes of files (getrlimit(2)).
const RAISED: [Resource; 2] = [Resource::Nofile, Resource::Fsize];

static GIVEN: OnceLock<[Rlimit; 2]> = OnceLock::new();

/// What cannot be raised stays.
pub fn raise() {
    let given = *GIVEN.get_or_init(|| RAISED.map(getrlimit));
    set(given.map(|Rlimit { maximum, .. }| Rlimit {
        current: maximum,
        maximum,
    }));
}

/// Goes back to those that we were given, in a child between fork and exec as well: it makes system calls alone.
pub fn restore() {
    if let Some(given) = GIVEN.get() {
        set(*given);
    }
}

fn set(limits: [Rlimit; 2]) {
    for (resource, limit) in RAISED.into_iter().zip(limits) {
        let _ = setrlimit(resource, limit);
    }
}
