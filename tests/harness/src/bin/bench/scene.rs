//! Where a commit is measured: a daemon with a disk of its own, a container, a heartbeat in it.

use crate::watch;
use crate::workload::{Base, Change, Workload};
use anyhow::Context;
use harness::{
    BASE, Container, Daemon, FileSystem, Freezeframe, Heartbeat, Options, Result, own_program,
    wait_until,
};
use std::fs::{self, File};
use std::time::Duration;

/// Long enough for a gigabyte or a million files on a slow disk.
const PATIENCE: Duration = Duration::from_secs(300);
const MIB: u64 = 1 << 20;

pub struct Scene<'d> {
    pub daemon: &'d Daemon,
    pub container: Container<'d>,
    pub heartbeat: Heartbeat,
    pub freezeframe: Freezeframe<'d>,
}

/// Those of every daemon that is measured.
pub fn options() -> Options {
    Options {
        direct_io: true,
        ..Options::default()
    }
}

impl Workload {
    pub fn start_daemon(&self, file_system: FileSystem) -> Result<Daemon> {
        let options = Options {
            file_system,
            disk_mib: self.disk_mib,
            inodes: self.inodes,
            ..options()
        };
        options.start()
    }
}

impl<'d> Scene<'d> {
    /// A container of `base` with nothing changed yet.
    pub fn new(daemon: &'d Daemon, base: &Base) -> Result<Self> {
        let program = own_program("freezeframe")?;
        let freezeframe =
            daemon.freezeframe(program.to_str().context("a path that is no text")?)?;
        let image = base.image(daemon, &freezeframe)?;
        let container = Container::run(daemon, image, &["sleep", "1000000"])?;
        let heartbeat = container.heartbeat()?;
        Ok(Self {
            daemon,
            container,
            heartbeat,
            freezeframe,
        })
    }

    /// Adds so many idle processes to the container, with so many descriptors each.
    pub fn gather(&self, count: u64, descriptors: u64) -> Result {
        let members = self.container.freezer()?.folder().join("cgroup.procs");
        let present = || Ok::<_, anyhow::Error>(fs::read_to_string(&members)?.lines().count());
        let wanted = present()? + usize::try_from(count)?;
        let words = [count, descriptors].map(|number| number.to_string());
        self.container
            .spawn(&["probe", "crowd", &words[0], &words[1]])?;
        wait_until("the processes", PATIENCE, || {
            Ok((present()? > wanted).then_some(()))
        })
    }

    pub fn change(&self, change: &Change) -> Result {
        change.begin(&self.container)?;
        self.settle()
    }

    /// What earlier work left to be written is not to be waited for by the next.
    pub fn settle(&self) -> Result {
        rustix::fs::syncfs(File::open(self.daemon.disk())?).context("writing the disk back")?;
        watch::forget_peak(self.daemon.process_id())
    }
}

impl Base {
    /// Its name in the daemon, which is made to have it.
    fn image(&self, daemon: &Daemon, freezeframe: &Freezeframe) -> Result<&'static str> {
        let &Self::Wide { files, length } = self else {
            return Ok(BASE);
        };
        let container = daemon.run(&["sleep", "1000000"])?;
        make_files(&container, "/base", files, length)?;
        let zstd = ["--compression", "zstd"];
        freezeframe.commit(&container, WIDE, &zstd)?.succeeded()?;
        container.remove()?;
        Ok(WIDE)
    }
}

const WIDE: &str = "docker.io/library/wide:latest";

impl Change {
    /// Makes the change; what goes on changing has begun when this returns.
    fn begin(&self, container: &Container) -> Result {
        match *self {
            Self::OneFile => container.shell("echo hello > /file").map(drop),
            Self::Files(trees) => trees.iter().try_for_each(|&(directory, files, length)| {
                make_files(container, directory, files, length)
            }),
            Self::Logs { count } => {
                container.spawn(&["probe", "append-logs", "/logs", &count.to_string()])?;
                container.wait_for(&format!("/logs/{}.log", count - 1))
            }
            Self::Big { mib } => {
                container.spawn(&["probe", "big", "/big", &mib.to_string()])?;
                let path = container.root()?.join("big");
                wait_until("the big file", PATIENCE, || {
                    let whole = fs::metadata(&path).is_ok_and(|file| file.len() == mib * MIB);
                    Ok(whole.then_some(()))
                })
            }
        }
    }
}

pub fn make_files(container: &Container, directory: &str, files: u64, length: u64) -> Result {
    let (files, length) = (files.to_string(), length.to_string());
    container
        .output(&["probe", "files", directory, &files, &length])
        .map(drop)
}
