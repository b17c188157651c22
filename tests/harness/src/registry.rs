//! A registry of images on a port of this machine, for one daemon: it lies in the daemon's
//! folder, and ends with it at the latest.

use crate::shell::wait_until;
use crate::{Daemon, Result};
use anyhow::Context;
use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::Duration;

pub struct Registry<'d> {
    daemon: &'d Daemon,
    process: Child,
    /// Host and port, with which the names of its images begin.
    pub address: String,
}

impl<'d> Registry<'d> {
    pub fn start(daemon: &'d Daemon) -> Result<Self> {
        let folder = daemon.new_folder("registry")?;
        let address = free_address()?;
        let settings = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nhttp: {{addr: {address}}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n",
            folder.join("images").display()
        );
        fs::write(&settings, text)?;
        let log = File::create(folder.join("log"))?;
        let mut command = Command::new("docker-registry");
        // A group of its own: Ctrl-C is for the tests.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command
            .arg("serve")
            .arg(&settings)
            .stdout(log.try_clone()?)
            .stderr(log);
        let process = command
            .spawn()
            .context("starting a registry: is tests/setup sourced?")?;
        let registry = Self {
            daemon,
            process,
            address,
        };
        wait_until("the registry answering", Duration::from_secs(10), || {
            Ok(TcpStream::connect(&registry.address).ok().map(drop))
        })?;
        Ok(registry)
    }

    /// Has it take an image of the daemon's, under the name that this has there.
    pub fn take(&self, reference: &str) -> Result {
        let push = ["images", "push", "--plain-http", reference];
        self.daemon.ctr().run(&push).map(drop)
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Nobody listens there just now.
fn free_address() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.to_string())
}
