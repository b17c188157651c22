//! Who a process is, in words that outlive it, and names that nobody else gives.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::libc;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

/// A process, told apart from every other of this machine: `PID:START-TIME:BOOT-ID:PID-NAMESPACE`.
pub struct ProcessIdentity {
    pid: u32,
    start_time: String,
    boot: String,
    namespace: String,
}

impl ProcessIdentity {
    pub fn of_this_process() -> Result<Self> {
        Self::of(std::process::id()).context("reading our own entry in /proc")
    }

    pub fn of(pid: u32) -> io::Result<Self> {
        Ok(Self {
            pid,
            start_time: start_time(pid)?,
            boot: boot_id()?,
            namespace: namespace("pid")?,
        })
    }

    /// Whether the process that wrote `identity` cannot be running any more. One of another PID namespace might be (and some
    /// containers have boot IDs of their own), and so might one that we cannot see or whose identity we do not understand.
    pub fn is_known_to_be_gone(identity: &str) -> bool {
        let Some(Self {
            pid,
            start_time: start,
            boot,
            namespace: home,
        }) = Self::parse(identity)
        else {
            return false;
        };
        let (Ok(our_boot), Ok(our_home)) = (boot_id(), namespace("pid")) else {
            return false;
        };
        home == our_home && (boot != our_boot || is_proc_ours() && has_gone(pid, &start))
    }

    /// Ends the process that wrote `identity`, even one that is stopped; nothing else that has got its number since.
    pub fn kill(identity: &str) {
        let found = Self::parse(identity).and_then(|process| {
            let pid = rustix::process::Pid::from_raw(process.pid.try_into().ok()?)?;
            // From here on the descriptor means the same process, whatever its number comes to mean.
            let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok()?;
            let now = Self::of(process.pid).ok()?;
            (now.to_string() == identity).then_some(descriptor)
        });
        if let Some(descriptor) = found {
            // It may have ended by now.
            let _ = pidfd_send_signal(descriptor, rustix::process::Signal::KILL);
        }
    }

    fn parse(identity: &str) -> Option<Self> {
        let parts: Vec<&str> = identity.split(':').collect();
        let [pid, start_time, boot, namespace] = parts[..] else {
            return None;
        };
        Some(Self {
            pid: pid.parse().ok()?,
            start_time: start_time.to_owned(),
            boot: boot.to_owned(),
            namespace: namespace.to_owned(),
        })
    }
}

impl std::fmt::Display for ProcessIdentity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            pid,
            start_time,
            boot,
            namespace,
        } = self;
        write!(formatter, "{pid}:{start_time}:{boot}:{namespace}")
    }
}

/// Whether `/proc` knows processes by the numbers that they have to us. It does not where it was mounted in another PID
/// namespace (`proc(5)`).
pub fn is_proc_ours() -> bool {
    fs::read_link("/proc/self")
        .is_ok_and(|own| own.as_os_str() == std::process::id().to_string().as_str())
}

/// Whether the process that had this number and start time is there no more.
fn has_gone(pid: u32, start: &str) -> bool {
    match start_time(pid) {
        Ok(now) => now != start,
        Err(error) => has_ended(&error),
    }
}

/// Whether an error of reading a process's files in /proc says that it is there no more.
pub fn has_ended(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

/// Field 22 of `proc_pid_stat(5)`, in clock ticks since boot; the name in field 2 may hold anything, parentheses as well.
///
/// A zombie has none: its parent has not asked for its end yet, but nothing of it runs any more.
fn start_time(pid: u32) -> io::Result<String> {
    let stat = fs::read(format!("/proc/{pid}/stat"))?;
    let stat = String::from_utf8_lossy(&stat);
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .unwrap_or_default();
    match fields.first() {
        Some(&("Z" | "X")) => Err(io::Error::from(Errno::ESRCH)),
        _ => fields
            .get(19)
            .map(|&time| time.to_owned())
            .ok_or_else(|| io::Error::other("unexpected format of /proc/PID/stat")),
    }
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// The number of our namespace of this kind (`namespaces(7)`).
pub fn namespace(kind: &str) -> io::Result<String> {
    let link = fs::read_link(format!("/proc/self/ns/{kind}"))?;
    Ok(link
        .to_string_lossy()
        .chars()
        .filter(char::is_ascii_digit)
        .collect())
}

/// A name that no other process of any machine, and no other call of ours, gives.
pub fn unique_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!(
        "{}-{:x}-{count}",
        std::process::id(),
        since_epoch.as_nanos()
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use nix::sys::signal::Signal;
    use nix::unistd::Pid;

    use super::*;
    use crate::system::children::ends_within;

    #[test]
    fn a_process_that_nobody_has_waited_for_is_gone() {
        let mut command = Command::new("cat");
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap().to_string();
        drop(child.stdin.take());
        let stat = format!("/proc/{}/stat", child.id());
        while !fs::read_to_string(&stat).unwrap().contains(") Z ") {
            std::thread::yield_now();
        }
        assert!(ProcessIdentity::is_known_to_be_gone(&identity));
        child.wait().unwrap();
    }

    #[test]
    fn a_stopped_process_is_ended_by_its_identity_and_no_other_is() {
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        let identity = ProcessIdentity::of(child.id()).unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGSTOP).unwrap();
        let earlier = ProcessIdentity {
            start_time: "1".into(),
            ..ProcessIdentity::of(child.id()).unwrap()
        };
        ProcessIdentity::kill(&earlier.to_string());
        assert!(!ends_within(&mut child, Duration::from_millis(100)));
        ProcessIdentity::kill(&identity.to_string());
        assert!(ends_within(&mut child, Duration::from_secs(10)));
    }

    #[test]
    fn a_live_process_is_not_gone_and_a_dead_one_is() {
        let own = ProcessIdentity::of_this_process().unwrap();
        assert!(!ProcessIdentity::is_known_to_be_gone(&own.to_string()));
        let earlier = ProcessIdentity {
            start_time: "1".into(),
            ..own
        };
        assert!(ProcessIdentity::is_known_to_be_gone(&earlier.to_string()));
        let before = ProcessIdentity {
            boot: "1".into(),
            ..ProcessIdentity::of_this_process().unwrap()
        };
        assert!(ProcessIdentity::is_known_to_be_gone(&before.to_string()));
        let elsewhere = ProcessIdentity {
            namespace: "1".into(),
            ..before
        };
        assert!(!ProcessIdentity::is_known_to_be_gone(
            &elsewhere.to_string()
        ));
        assert!(!ProcessIdentity::is_known_to_be_gone("nonsense"));
    }
}
