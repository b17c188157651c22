//! Limits of resources, which we raise as far as we may, as Go does for descriptors: what somebody set low for other programs is
//! no reason for a commit to fail.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Of descriptors and of the sizes of files (getrlimit(2)). What cannot be raised stays.
pub fn raise() {
    for resource in [Resource::Nofile, Resource::Fsize] {
        let maximum = getrlimit(resource).maximum;
        let current = maximum;
        let _ = setrlimit(resource, Rlimit { current, maximum });
    }
}
