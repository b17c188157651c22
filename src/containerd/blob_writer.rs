//! Writing a blob of any size into the content store.
//!
//! A short one is sent. A longer one is written where the store has its blobs, if that can be seen from here, and the
//! daemon takes it over whole: sent, it would pass through memory twice more, and be hashed again.

use std::collections::HashMap;
use std::io::{self, Write};
use std::mem;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::Mode;

use super::Containerd;
use super::ingest::{Ingest, is_already_exists, is_out_of_range};
use crate::digest::Sha256Digest;
use crate::log;
use crate::system::signals;
use crate::system::unnamed_file::UnnamedFile;

/// Larger chunks do not fit the daemon's message limit everywhere, smaller ones cost a round trip each.
const CHUNK: usize = 1 << 20;
/// As containerd leaves its blobs where its umask is the usual one (plugins/content/local/writer.go of its source).
const BLOB_MODE: Mode = Mode::from_raw_mode(0o444);

/// A blob that is in the content store, owned by the lease. `digest` is `sha256:…`, `size` in bytes.
#[derive(Clone, Debug)]
pub struct WrittenBlob {
    pub digest: String,
    pub size: u64,
}

/// A blob being written; only `complete` makes it one. Dropped before that, it is gone from the store.
pub struct BlobWriter {
    client: Containerd,
    hash: Sha256Digest,
    size: u64,
    pending: Vec<u8>,
    way: Way,
    /// Of the bytes that are sent. Beside a file it stays empty, for the lease to own: as it goes, containerd looks for
    /// files that are nobody's.
    ingest: Ingest,
}

/// How the bytes get into the store.
enum Way {
    /// Not known before there is a whole chunk.
    Open,
    Sent,
    Placed(UnnamedFile),
}

impl BlobWriter {
    /// Adds `bytes`, waiting where the daemon or the disk is slower than we are.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        while !bytes.is_empty() {
            if let Way::Placed(file) = &mut self.way {
                return file.write_all(bytes).with_context(|| writing(file));
            }
            let room = CHUNK - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == CHUNK {
                self.hand_on_chunk()?;
            }
        }
        Ok(())
    }

    /// What the disk has set aside behind the end of its file, in bytes, as XFS does for one that grows.
    pub fn spare(&self) -> io::Result<u64> {
        match &self.way {
            Way::Placed(file) => file.spare(),
            Way::Open | Way::Sent => Ok(0),
        }
    }

    fn hand_on_chunk(&mut self) -> Result<()> {
        if matches!(self.way, Way::Open) {
            self.way = self.choose_way()?;
        }
        let chunk = mem::take(&mut self.pending);
        match &mut self.way {
            Way::Placed(file) => file.write_all(&chunk).with_context(|| writing(file)),
            Way::Open | Way::Sent => {
                self.pending.reserve_exact(CHUNK);
                self.ingest.send_data(chunk)
            }
        }
    }

    fn choose_way(&mut self) -> Result<Way> {
        let Some(directory) = self.client.blob_directory()? else {
            return Ok(Way::Sent);
        };
        match UnnamedFile::create(&directory, BLOB_MODE) {
            Ok(file) => {
                self.ingest.begin()?;
                Ok(Way::Placed(file))
            }
            Err(error) => {
                note_sending(&directory, &error);
                Ok(Way::Sent)
            }
        }
    }

    /// Commits the blob with `labels`; it exists from here on.
    pub fn complete(mut self, labels: HashMap<String, String>) -> Result<WrittenBlob> {
        if let Way::Placed(file) = mem::replace(&mut self.way, Way::Sent) {
            return match self.take_over(&file, &labels)? {
                Some(blob) => Ok(blob),
                None => self.client.send_content(file, labels),
            };
        }
        let blob = self.blob();
        if !self.pending.is_empty() {
            self.ingest.send_data(self.pending)?;
        }
        let committed = self.ingest.commit(labels.clone());
        self.client.settle(blob, committed, labels)
    }

    /// Has the daemon make a blob of `file`; `None`, and the file as it was, where it does not see it: its directory is
    /// not what we have under that name, or its garbage collector came in between.
    fn take_over(
        &mut self,
        file: &UnnamedFile,
        labels: &HashMap<String, String>,
    ) -> Result<Option<WrittenBlob>> {
        file.sync().with_context(|| writing(file))?;
        signals::check()?;
        let name = self.hash.hexadecimal();
        let is_new = match file.name(&name) {
            Ok(is_new) => is_new,
            Err(error) => {
                note_sending(file.directory(), &error);
                return Ok(None);
            }
        };
        let taken_over = self.commit_named(file, &name, labels);
        match taken_over {
            // Whether it was done is not known, so what is nobody's is left to containerd to find.
            Err(_) => self.ingest.leave_to_lease(),
            Ok(None) if is_new => file.unname(&name).with_context(|| writing(file))?,
            Ok(_) => {}
        }
        taken_over
    }

    fn commit_named(
        &self,
        file: &UnnamedFile,
        name: &str,
        labels: &HashMap<String, String>,
    ) -> Result<Option<WrittenBlob>> {
        let blob = self.blob();
        // Should another commit have it already, it is not collected with that one's lease meanwhile.
        self.client.lease_content(&blob.digest)?;
        let committed = Ingest::new(&self.client).commit_file(&blob, labels.clone());
        if committed.as_ref().is_err_and(is_out_of_range) {
            return Ok(None);
        }
        let settled = self.client.settle(blob, committed, labels.clone())?;
        // Not before, so that the garbage collector hardly finds it while it is nobody's.
        file.sync_name(name).with_context(|| writing(file))?;
        Ok(Some(settled))
    }

    /// What all that was pushed is as a blob.
    fn blob(&self) -> WrittenBlob {
        WrittenBlob {
            digest: self.hash.to_string(),
            size: self.size,
        }
    }
}

fn writing(file: &UnnamedFile) -> String {
    format!("writing a blob in {}", file.directory().display())
}

fn note_sending(directory: &Path, error: &io::Error) {
    let directory = directory.display();
    log::debug(&format!("blobs are sent: {directory}: {error}"));
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.push(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Containerd {
    pub fn blob_writer(&self) -> BlobWriter {
        BlobWriter {
            client: self.clone(),
            hash: Sha256Digest::default(),
            size: 0,
            pending: Vec::with_capacity(CHUNK),
            way: Way::Open,
            ingest: Ingest::new(self),
        }
    }

    fn send_content(
        &self,
        file: UnnamedFile,
        labels: HashMap<String, String>,
    ) -> Result<WrittenBlob> {
        let mut writer = BlobWriter {
            way: Way::Sent,
            ..self.blob_writer()
        };
        let content = file.into_content();
        content
            .and_then(|mut content| io::copy(&mut content, &mut writer))
            .context("sending a blob that was written already")?;
        writer.complete(labels)
    }

    /// Sees to it that `blob`, once committed, is owned and labelled, whoever made it.
    fn settle(
        &self,
        blob: WrittenBlob,
        committed: Result<String>,
        labels: HashMap<String, String>,
    ) -> Result<WrittenBlob> {
        let digest = &blob.digest;
        match committed {
            Ok(stored) => ensure!(
                stored == *digest,
                "containerd stored {stored} where {digest} was written"
            ),
            Err(error) if is_already_exists(&error) => self.adopt_blob(digest, labels)?,
            Err(error) => return Err(error),
        }
        Ok(blob)
    }
}

#[cfg(test)]
mod tests;
