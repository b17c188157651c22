//! Processes: who we are, for labels that outlive us, and what our standard descriptors are.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

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

    fn of(pid: u32) -> io::Result<Self> {
        Ok(Self {
            pid,
            start_time: start_time(pid)?,
            boot: boot_id()?,
            namespace: pid_namespace()?,
        })
    }

    /// Whether the process that wrote `identity` cannot be running any more. One of another PID namespace might be, and
    /// so might one whose identity we do not understand.
    pub fn is_known_to_be_gone(identity: &str) -> bool {
        let parts: Vec<&str> = identity.split(':').collect();
        let [pid, start, boot, namespace] = parts[..] else {
            return false;
        };
        let (Ok(pid), Ok(our_boot), Ok(our_namespace)) = (pid.parse(), boot_id(), pid_namespace())
        else {
            return false;
        };
        boot != our_boot
            || (namespace == our_namespace && start_time(pid).ok().as_deref() != Some(start))
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

/// Field 22 of `proc_pid_stat(5)`, in clock ticks since boot; the name in field 2 may hold spaces and parentheses.
fn start_time(pid: u32) -> io::Result<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    stat.rsplit_once(')')
        .and_then(|(_, rest)| rest.split_whitespace().nth(19))
        .map(str::to_owned)
        .ok_or_else(|| io::Error::other("unexpected format of /proc/PID/stat"))
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

fn pid_namespace() -> io::Result<String> {
    let link = fs::read_link("/proc/self/ns/pid")?;
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

/// Has `command`, once it is started, end when this process does, hear the signals that are blocked here, and hold `pipe`
/// open as long as it lives.
pub fn tie_to_this_process(command: &mut Command, pipe: Option<BorrowedFd>) {
    let pipe = pipe.map(|pipe| pipe.as_raw_fd());
    let parent = Pid::this();
    let tie = move || {
        signals::unblock_in_child()?;
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
    fn a_live_process_is_not_gone_and_a_dead_one_is() {
        let own = ProcessIdentity::of_this_process().unwrap();
        assert!(!ProcessIdentity::is_known_to_be_gone(&own.to_string()));
        let earlier = ProcessIdentity {
            start_time: "1".into(),
            ..own
        };
        assert!(ProcessIdentity::is_known_to_be_gone(&earlier.to_string()));
        let elsewhere = ProcessIdentity {
            namespace: "1".into(),
            ..earlier
        };
        assert!(!ProcessIdentity::is_known_to_be_gone(
            &elsewhere.to_string()
        ));
        assert!(!ProcessIdentity::is_known_to_be_gone("nonsense"));
    }
}
