//! syncfs(2) and fdatasync(2) with an end: one file system, never all, and no wait that a neighbour's dirty pages make
//! endless.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{CWD, Mode, OFlags, fdatasync, openat, syncfs};

use super::signals;

/// A disk that is only busy is done by then.
const BOUND: Duration = Duration::from_secs(120);
const SIGNAL_POLL: Duration = Duration::from_millis(20);

/// A write-back that runs beside us.
pub struct DiskSync {
    name: &'static str,
    answer: mpsc::Receiver<rustix::io::Result<()>>,
}

impl DiskSync {
    /// Starts to write back the file system that `file` is on.
    pub fn of_file_system(file: &impl AsFd) -> Result<Self> {
        let file = file.as_fd().try_clone_to_owned();
        let file = file.context("duplicating a descriptor")?;
        Self::start("syncfs", move || syncfs(file))
    }

    /// The same of the one that this directory is on, which may belong to a server that does not answer.
    pub fn of_file_system_at(directory: PathBuf) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = move || openat(CWD, directory, flags, Mode::empty());
        Self::start("syncfs", move || syncfs(open()?))
    }

    /// Starts to write back what is in `files`.
    pub fn of_contents(files: Vec<OwnedFd>) -> Result<Self> {
        Self::start("fdatasync", move || files.iter().try_for_each(fdatasync))
    }

    fn start(
        name: &'static str,
        work: impl FnOnce() -> rustix::io::Result<()> + Send + 'static,
    ) -> Result<Self> {
        let (sender, answer) = mpsc::channel();
        std::thread::Builder::new()
            .name(name.into())
            .spawn(move || {
                // It may live on into a freeze, in which a terminal's stop must not find it.
                let _ = signals::block_stops();
                sender.send(work())
            })
            .with_context(|| format!("starting a thread for {name}"))?;
        Ok(Self { name, answer })
    }

    /// Waits until all that was dirty at the start is on disk. A signal ends the wait, and so does the bound.
    pub fn wait(self) -> Result<()> {
        self.wait_for(BOUND)
    }

    fn wait_for(self, bound: Duration) -> Result<()> {
        let began = Instant::now();
        loop {
            match self.answer.recv_timeout(SIGNAL_POLL) {
                Ok(answer) => {
                    return answer
                        .with_context(|| format!("writing the disk back ({})", self.name));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the thread for {} ended without an answer", self.name)
                }
                Err(RecvTimeoutError::Timeout) => signals::check()?,
            }
            if began.elapsed() > bound {
                bail!(
                    "the file system was not written back within {} s: other programs keep its disk busy, \
                     try again when they are done",
                    bound.as_secs()
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_is_not_waited_for_longer_than_that() {
        let (answer, waiting) = mpsc::channel::<()>();
        let never = move || {
            let _ = waiting.recv();
            Ok(())
        };
        let sync = DiskSync::start("syncfs", never).unwrap();
        let refusal = sync.wait_for(Duration::from_secs(1)).unwrap_err();
        assert!(refusal.to_string().contains("within 1 s"), "{refusal}");
        drop(answer);
    }

    #[test]
    fn the_answer_of_the_disk_is_ours() {
        let ended = DiskSync::start("syncfs", || Ok(())).unwrap();
        ended.wait().unwrap();
        let failed = DiskSync::start("syncfs", || Err(rustix::io::Errno::IO)).unwrap();
        let refusal = format!("{:#}", failed.wait().unwrap_err());
        assert!(refusal.contains("(syncfs)"), "{refusal}");
    }
}
