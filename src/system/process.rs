//! Processes: who one is, for labels that outlive it, how those that we start are tied to us and waited for, and what
//! descriptors and environment there are.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open, pidfd_send_signal};

use super::signals;

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
        home == our_home && (boot != our_boot || has_gone(pid, &start))
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

/// Changes the environment that a program which we become will find. Only for when there is one thread.
pub fn set_variable(name: &str, value: &str) {
    // SAFETY: pass-through starts no threads, so nobody reads the environment meanwhile.
    unsafe { std::env::set_var(name, value) };
}

/// Has `command`, once it is started, end when this process does, hear the signals that we do not, and hold `pipe`
/// open as long as it lives.
pub fn tie_to_this_process(command: &mut Command, pipe: Option<BorrowedFd>) {
    let pipe = pipe.map(|pipe| pipe.as_raw_fd());
    let parent = Pid::this();
    let tie = move || {
        signals::restore_in_child()?;
        nix::sys::prctl::set_pdeathsig(Signal::SIGTERM)?;
        if Pid::parent() != parent {
            return Err(io::Error::from(Errno::ESRCH));
        }
        if let Some(pipe) = pipe {
            // SAFETY: the caller's descriptor is open when it starts the command, and the child has the same.
            let pipe = unsafe { BorrowedFd::borrow_raw(pipe) };
            fcntl(pipe, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only system calls are made, and nothing is allocated.
    unsafe { command.pre_exec(tie) };
}

/// Waits for the end of a child; false where it has not come when `bound` has passed.
pub fn ends_within(child: &mut Child, bound: Duration) -> bool {
    let ended = |child: &mut Child| matches!(child.try_wait(), Ok(Some(_)));
    if ended(child) {
        return true;
    }
    let Ok(descriptor) = pidfd_open(rustix::process::Pid::from_child(child), PidfdFlags::empty())
    else {
        return false;
    };
    is_readable_within(&descriptor, bound).unwrap_or(false) && ended(child)
}

/// Whether there is something to read, or nothing will come any more, before `bound` has passed.
pub fn is_readable_within(descriptor: &impl AsFd, bound: Duration) -> io::Result<bool> {
    let mut waiting = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
    let began = Instant::now();
    loop {
        let left = bound.saturating_sub(began.elapsed());
        match poll(&mut waiting, left.try_into().unwrap_or(PollTimeout::MAX)) {
            // By the end of a child, of which duct wants to hear.
            Err(Errno::EINTR) if !left.is_zero() => {}
            Err(Errno::EINTR) => return Ok(false),
            ready => return Ok(ready? > 0),
        }
    }
}

/// Opens what is closed of standard input, output and error as /dev/null, so that no file of ours gets their numbers
/// and with them what is printed.
pub fn fill_standard_descriptors() -> Result<()> {
    loop {
        let descriptor: RawFd = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")
            .context("opening /dev/null")?
            .into_raw_fd();
        if descriptor > 2 {
            return nix::unistd::close(descriptor).context("closing /dev/null");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
