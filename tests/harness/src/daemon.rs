//! A private containerd: own disk, own sockets, own namespace, gone when dropped.
//!
//! Its folder holds `disk`, a file system of its own on a loop device (so sizes and
//! journal are the test's choice), and `run`, a tmpfs (state, sockets, heartbeats: no
//! access there waits for a disk). Several daemons run side by side, in one process or
//! in many: even what containerd keeps under /run is told apart by the namespace.

pub(crate) mod disk;
mod life;
mod options;
mod power;

pub use disk::FileSystem;
pub use options::Options;

use crate::caretaker::{Caretaker, namespace};
use crate::ctr::Ctr;
use crate::freezeframe::Freezeframe;
use crate::image::{self, BASE};
use crate::nerdctl::Nerdctl;
use crate::shell::wait_until;
use crate::{Container, Result, probe};
use anyhow::{Context, bail};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

pub struct Daemon {
    folder: PathBuf,
    ctr: Ctr,
    /// The containerd that runs, or the last one that did.
    process: Mutex<Child>,
    counter: AtomicU32,
    unified_cgroups: bool,
    _caretaker: Caretaker,
}

impl Daemon {
    /// A daemon on ext4 that has the image `BASE`.
    pub fn start() -> Result<Self> {
        Options::default().start()
    }

    /// The same with containerd's root on another file system.
    pub fn start_on(file_system: FileSystem) -> Result<Self> {
        Self::start_with(&Options {
            file_system,
            ..Options::default()
        })
    }

    fn start_with(options: &Options) -> Result<Self> {
        let (folder, caretaker) = Caretaker::of_new_folder()?;
        disk::mount_disk(&folder, options)?;
        disk::mount_run(&folder)?;
        if let Some(kib) = options.records_kib {
            disk::mount_small(&records(&folder), kib)?;
        }
        write_files(&folder, options)?;
        let process = life::spawn(&folder, options.unified_cgroups)?;
        let ctr = Ctr {
            address: path_text(&socket(&folder))?,
            namespace: namespace(&folder),
        };
        let daemon = Self {
            folder,
            ctr,
            process: Mutex::new(process),
            counter: AtomicU32::new(0),
            unified_cgroups: options.unified_cgroups,
            _caretaker: caretaker,
        };
        daemon.wait_until_it_answers()?;
        image::base().import(&daemon, BASE)?;
        Ok(daemon)
    }

    fn wait_until_it_answers(&self) -> Result {
        let socket = socket(&self.folder);
        wait_until("containerd answering", Duration::from_secs(10), || {
            Ok(UnixStream::connect(&socket).ok().map(drop))
        })
        .with_context(|| self.log())
    }

    /// containerd itself.
    pub fn process_id(&self) -> u32 {
        self.process().id()
    }

    pub fn ctr(&self) -> &Ctr {
        &self.ctr
    }

    pub fn nerdctl(&self) -> Result<Nerdctl<'_>> {
        Nerdctl::of(self)
    }

    /// Our program, from the path that cargo gives to an integration test.
    pub fn freezeframe(&self, program: &str) -> Result<Freezeframe<'_>> {
        Freezeframe::of(self, Path::new(program))
    }

    /// Where the cgroups are that containerd sees.
    pub fn cgroup_root(&self) -> PathBuf {
        if self.unified_cgroups {
            return format!("/proc/{}/root/sys/fs/cgroup", self.process_id()).into();
        }
        "/sys/fs/cgroup".into()
    }

    /// A command that sees the mounts which containerd sees.
    pub fn command_beside(&self, program: &Path) -> Command {
        // Whoever started the tests in the background had them ignore interrupts.
        let mut command = Command::new("/usr/bin/env");
        command.arg("--default-signal=INT,QUIT,HUP");
        if !self.unified_cgroups {
            command.arg(program);
            return command;
        }
        command
            .arg("nsenter")
            .arg(format!("--mount=/proc/{}/ns/mnt", self.process_id()))
            .arg("--")
            .arg(program);
        command
    }

    /// A container of the base image that runs `words`.
    pub fn run(&self, words: &[&str]) -> Result<Container<'_>> {
        Container::run(self, BASE, words)
    }

    /// Everything of the daemon's lies below it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file system on the disk: containerd's root, and room for others.
    pub fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    /// Where containerd keeps its records.
    pub fn records(&self) -> PathBuf {
        records(&self.folder)
    }

    /// Where containerd keeps its blobs and ingests.
    pub fn content_store(&self) -> PathBuf {
        let plugin = "containerd/io.containerd.content.v1.content";
        self.disk().join(plugin)
    }

    /// The tmpfs.
    pub fn run_folder(&self) -> PathBuf {
        self.folder.join("run")
    }

    /// A new, empty folder on the tmpfs.
    pub fn new_folder(&self, purpose: &str) -> Result<PathBuf> {
        let path = self.run_folder().join(self.unique(purpose));
        fs::create_dir(&path).with_context(|| format!("creating {}", path.display()))?;
        Ok(path)
    }

    /// A name that this daemon has not given before.
    pub fn unique(&self, purpose: &str) -> String {
        format!("{purpose}-{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// Leads nerdctl, its stand-in or freezeframe to this containerd and no other,
    /// whatever the environment of the tests says.
    pub fn lead(&self, command: &mut Command) {
        command.env("CONTAINERD_ADDRESS", &self.ctr.address);
        command.env("CONTAINERD_NAMESPACE", &self.ctr.namespace);
        command.env("NERDCTL_TOML", self.run_folder().join("nerdctl.toml"));
        for variable in ["CONTAINERD_SNAPSHOTTER", "CNI_PATH", "NETCONFPATH"] {
            command.env_remove(variable);
        }
    }

    /// What containerd wrote to its log so far.
    pub fn log(&self) -> String {
        let file = self.run_folder().join("containerd.log");
        fs::read_to_string(file).unwrap_or_default()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", tail_of_trouble(&self.log()));
        }
        // The caretaker does the rest; a child of ours would stay a zombie there.
        let mut process = self.process();
        let _ = process.kill();
        let _ = process.wait();
    }
}

fn tail_of_trouble(log: &str) -> String {
    let trouble: Vec<_> = log
        .lines()
        .filter(|line| !line.contains("level=info"))
        .collect();
    let tail = &trouble[trouble.len().saturating_sub(20)..];
    format!(
        "the last that containerd complained of:\n{}",
        tail.join("\n")
    )
}

fn records(folder: &Path) -> PathBuf {
    folder.join("disk/containerd/io.containerd.metadata.v1.bolt")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("run/containerd.sock")
}

fn path_text(path: &Path) -> Result<String> {
    match path.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!("{} is no text: choose another TMPDIR", path.display()),
    }
}

/// What the CRI needs of containerd 1 and 2.
const CRI_PLUGINS: [&str; 3] = [
    "io.containerd.cri.v1.images",
    "io.containerd.cri.v1.runtime",
    "io.containerd.grpc.v1.cri",
];

/// The configuration is version 2, which containerd 1.6 and 2 both read. Plugins that
/// touch anything outside the folder, or that nobody here needs, are off.
fn write_files(folder: &Path, options: &Options) -> Result {
    let run = folder.join("run");
    let off = if options.cri { &[][..] } else { &CRI_PLUGINS };
    let off: Vec<_> = off.iter().map(|name| format!("  \"{name}\",\n")).collect();
    let mut containerd = format!(
        include_str!("daemon/containerd.toml"),
        root = folder.join("disk/containerd").display(),
        run = run.display(),
        without_cri = off.concat(),
    );
    if options.isolated_content {
        containerd += include_str!("daemon/isolated.toml");
    }
    if options.lazy_collection {
        containerd += include_str!("daemon/lazy.toml");
    }
    if options.cri {
        containerd += &format!(
            include_str!("daemon/cri.toml"),
            run = run.display(),
            sandbox_image = crate::pods::SANDBOX_IMAGE,
        );
    }
    fs::write(run.join("containerd.toml"), containerd)?;
    let nerdctl = format!(
        include_str!("daemon/nerdctl.toml"),
        namespace = namespace(folder),
        data = folder.join("disk/nerdctl").display(),
        run = run.display(),
    );
    fs::write(run.join("nerdctl.toml"), nerdctl)?;
    probe::install(&run)
}
