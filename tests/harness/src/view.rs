//! An image's tree, mounted to be looked at.
//!
//! `snapshot` shows the image as it lies in overlayfs, without unpacking anything: for
//! a committed image that is the snapshot which the commit made. `unpacked` applies
//! the layers afresh in a namespace of its own, which knows no snapshot of the commit's:
//! what somebody who pulls it would get.

use crate::ctr::Ctr;
use crate::image::digest;
use crate::shell::wait_until;
use crate::{Daemon, Result, Tree};
use anyhow::Context;
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, unmount};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A mounted, read-only view; unmounted and removed when dropped.
pub struct View {
    ctr: Ctr,
    key: String,
    path: PathBuf,
    /// An image that is there for the view alone.
    imported: Option<String>,
}

impl View {
    /// Fails if the image is not unpacked for overlayfs already.
    pub fn snapshot(daemon: &Daemon, reference: &str) -> Result<Self> {
        Self::mounted(daemon, daemon.ctr().clone(), reference)
    }

    pub fn unpacked(daemon: &Daemon, reference: &str) -> Result<Self> {
        let ctr = Ctr {
            namespace: format!("{}-unpacked", daemon.ctr().namespace),
            ..daemon.ctr().clone()
        };
        let archive = daemon.run_folder().join(daemon.unique("archive.tar"));
        let path = archive.display().to_string();
        // Where it finds Docker's own manifest, the importer guesses the layers' types, and has no processor for some that it
        // takes OCI's for. Without it, it unpacks no image of Docker's types.
        let kind = &daemon.ctr().manifest(reference)?["mediaType"];
        let is_oci = kind.as_str().is_some_and(|kind| kind.contains(".oci."));
        let flags: &[&str] = if is_oci {
            &["--skip-manifest-json"]
        } else {
            &[]
        };
        let export = [&["images", "export"], flags, &[&path, reference]].concat();
        // containerd 2's ctr ends now and then before all of it is written: once more, then.
        wait_until("a whole archive", Duration::from_secs(20), || {
            daemon.ctr().run(&export)?;
            Ok(is_whole_archive(&archive)?.then_some(()))
        })?;
        ctr.run(&["images", "import", &path])?;
        std::fs::remove_file(&archive)?;
        let mut view = Self::mounted(daemon, ctr, reference)?;
        view.imported = Some(reference.to_owned());
        Ok(view)
    }

    fn mounted(daemon: &Daemon, ctr: Ctr, reference: &str) -> Result<Self> {
        let (key, path) = (daemon.unique("view"), daemon.new_folder("view")?);
        let parent = chain_id(daemon, reference)?;
        // Not ctr's view, which a garbage collection under way may take.
        ctr.run(&["snapshots", "prepare", &key, &parent])
            .with_context(|| format!("{reference} is not unpacked"))?;
        ctr.mount_snapshot(&key, &path, "ro")?;
        Ok(Self {
            ctr,
            key,
            path,
            imported: None,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn tree(&self) -> Result<Tree> {
        Tree::read(&self.path)
    }

    /// The content of a file, as text.
    pub fn read(&self, path: &str) -> Result<String> {
        let path = self.path.join(path.trim_start_matches('/'));
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
    }

    fn undo(&self) -> Result {
        unmount_soon(&self.path)?;
        self.ctr.run(&["snapshots", "rm", &self.key])?;
        if let Some(image) = &self.imported {
            self.ctr.run(&["images", "rm", "--sync", image])?;
        }
        Ok(())
    }
}

/// A program that another thread of the tests is just starting holds what they have open, for a moment.
fn unmount_soon(path: &Path) -> Result {
    wait_until("unmounting", Duration::from_secs(5), || {
        match unmount(path, UnmountFlags::empty()) {
            Err(Errno::BUSY) => Ok(None),
            unmounted => unmounted.map(Some).context("unmounting"),
        }
    })
}

/// Two blocks of zeros end one (pax(1), ustar interchange format).
fn is_whole_archive(archive: &Path) -> Result<bool> {
    let (file, mut end) = (File::open(archive)?, [1; 1024]);
    let Some(offset) = file.metadata()?.len().checked_sub(end.len() as u64) else {
        return Ok(false);
    };
    file.read_exact_at(&mut end, offset)?;
    Ok(end == [0; 1024])
}

impl Drop for View {
    fn drop(&mut self) {
        // Reported and not raised: the daemon's end removes both in any case.
        if let Err(error) = self.undo() {
            eprintln!("removing the view {}: {error:#}", self.path.display());
        }
    }
}

/// The name of the snapshot that holds all of the image's layers.
pub fn chain_id(daemon: &Daemon, reference: &str) -> Result<String> {
    let config = daemon.ctr().config(reference)?;
    let diff_ids = config["rootfs"]["diff_ids"]
        .as_array()
        .context("a config without diff_ids")?;
    let names = diff_ids
        .iter()
        .filter_map(|diff_id| diff_id.as_str().map(str::to_owned));
    let chain = names.reduce(|chain, diff_id| digest(format!("{chain} {diff_id}").as_bytes()));
    chain.with_context(|| format!("{reference} has no layers"))
}
