//! What the kernel grants to the privileged alone, and a direct commit takes for granted.

use std::fs;

use anyhow::{Context, Result};

/// As numbered in `linux/capability.h`: to read and make whatever a container has, with owner, mode, file capabilities and
/// overlayfs's attributes (capabilities(7), xattr(7)). Not all that lacks is told of:
/// without `CAP_SYS_ADMIN` overlayfs's attributes read as absent, without `CAP_FSETID` a mode loses a bit.
const NEEDED: [(&str, u32); 7] = [
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_MKNOD", 27),
    ("CAP_SETFCAP", 31),
];

/// Why this process is not privileged enough. In a user namespace capabilities do not count for all of it.
pub fn obstacle() -> Result<Option<String>> {
    if is_in_user_namespace() {
        return Ok(Some("this process is in a user namespace".to_owned()));
    }
    let status = fs::read_to_string("/proc/self/status").context("reading our capabilities")?;
    let missing = missing_of(effective(&status));
    Ok(missing.map(|capability| format!("this process lacks {capability}")))
}

/// In the first user namespace every ID is itself (`user_namespaces(7)`).
pub fn is_in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && map.split_whitespace().ne(["0", "0", "4294967295"])
}

fn missing_of(held: u64) -> Option<&'static str> {
    let is_missing = |(_, number): &&(&str, u32)| held & (1 << number) == 0;
    NEEDED.iter().find(is_missing).map(|(name, _)| *name)
}

/// `proc_pid_status(5)`, a bit for each capability.
fn effective(status: &str) -> u64 {
    let held = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    held.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_missing_capability_is_named() {
        assert_eq!(missing_of(u64::MAX), None);
        assert_eq!(missing_of(!(1 << 21)), Some("CAP_SYS_ADMIN"));
        assert_eq!(missing_of(0), Some("CAP_CHOWN"));
    }

    #[test]
    fn what_is_held_is_read() {
        let status = "CapPrm:\t0000000000000000\nCapEff:\t00000000a80425fb\nCapBnd:\t0\n";
        assert_eq!(effective(status), 0xa804_25fb);
        assert_eq!(missing_of(effective(status)), Some("CAP_SYS_ADMIN"));
        assert_eq!(effective(""), 0);
    }
}
