//! Streaming a blob of any size into the content store.
//!
//! Of the write protocol (containerd's services/content/contentserver): an offset of 0 after data truncates, so every
//! message carries the running one; a commit that names its digest leases and labels nothing where the blob exists, so
//! ours does not, and digests are compared afterwards.

use std::collections::HashMap;
use std::io::{self, Write};

use anyhow::{Context, Result, bail, ensure};
use containerd_client::services::v1::{AbortRequest, WriteAction, WriteContentRequest};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::{CallError, Containerd};
use crate::digest::Sha256Digest;

/// Larger chunks do not fit the daemon's message limit everywhere, smaller ones cost a round trip each.
const CHUNK: usize = 1 << 20;
const CHUNKS_UNDER_WAY: usize = 4;
/// A blob that is in the content store, owned by the lease. `digest` is `sha256:…`, `size` in bytes.
#[derive(Clone, Debug)]
pub struct WrittenBlob {
    pub digest: String,
    pub size: u64,
}

/// A blob being written; only `complete` makes it one. Dropped before that, it is gone from the store.
pub struct BlobWriter {
    client: Containerd,
    reference: String,
    pending: Vec<u8>,
    offset: u64,
    hash: Sha256Digest,
    stream: Option<WriteStream>,
}

struct WriteStream {
    messages: Sender<WriteContentRequest>,
    /// Ends with the digest that the daemon reports last.
    answers: JoinHandle<Result<String, Status>>,
    lease: Option<String>,
}

impl BlobWriter {
    /// Adds `bytes`, waiting where the daemon is slower than we are.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = CHUNK - self.pending.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() == CHUNK {
                self.send_pending()?;
            }
        }
        Ok(())
    }

    /// Commits the blob with `labels`; it exists from here on.
    pub fn complete(mut self, labels: HashMap<String, String>) -> Result<WrittenBlob> {
        self.send_pending()?;
        let digest = self.hash.to_string();
        self.continue_under_current_lease()?;
        let commit = WriteContentRequest {
            action: WriteAction::Commit.into(),
            total: self.signed_offset(),
            labels: labels.clone(),
            ..self.message()
        };
        let sent = self.send(commit);
        match sent.and_then(|()| self.finish_stream()) {
            Ok(stored) => ensure!(
                stored == digest,
                "containerd stored {stored} where {digest} was sent"
            ),
            Err(error) if is_already_exists(&error) => self.client.adopt_blob(&digest, labels)?,
            Err(error) => return Err(error),
        }
        Ok(WrittenBlob {
            digest,
            size: self.offset,
        })
    }

    /// A stream keeps the lease it began with; once relayed, that one may be gone before the commit.
    fn continue_under_current_lease(&mut self) -> Result<()> {
        let current = self.client.current_lease();
        if self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.lease != current)
        {
            self.finish_stream()?;
        }
        Ok(())
    }

    fn send_pending(&mut self) -> Result<()> {
        let data = std::mem::replace(&mut self.pending, Vec::with_capacity(CHUNK));
        if data.is_empty() {
            return Ok(());
        }
        self.hash.update(&data);
        let length = data.len() as u64;
        self.send(WriteContentRequest {
            action: WriteAction::Write.into(),
            data,
            ..self.message()
        })?;
        self.offset += length;
        Ok(())
    }

    fn message(&self) -> WriteContentRequest {
        WriteContentRequest {
            r#ref: self.reference.clone(),
            offset: self.signed_offset(),
            ..Default::default()
        }
    }

    fn signed_offset(&self) -> i64 {
        i64::try_from(self.offset).unwrap_or(i64::MAX)
    }

    fn send(&mut self, message: WriteContentRequest) -> Result<()> {
        let client = self.client.clone();
        let stream = self
            .stream
            .get_or_insert_with(|| client.open_write_stream());
        let sent = client.wait(async { Ok(stream.messages.send(message).await) })?;
        if sent.is_err() {
            self.finish_stream()?;
            bail!("containerd ended the write of a blob early");
        }
        Ok(())
    }

    fn finish_stream(&mut self) -> Result<String> {
        let Some(WriteStream {
            messages, answers, ..
        }) = self.stream.take()
        else {
            bail!("nothing was written");
        };
        drop(messages);
        self.client
            .wait(async {
                answers
                    .await
                    .map_err(|lost| Status::internal(lost.to_string()))?
                    .map_err(CallError::from)
            })
            .context("writing a blob")
    }
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

impl Drop for BlobWriter {
    fn drop(&mut self) {
        let Some(stream) = self.stream.take() else {
            return;
        };
        stream.answers.abort();
        let caretaker = self.client.for_cleaning_up();
        let request = caretaker.request(AbortRequest {
            r#ref: self.reference.clone(),
        });
        // Without an answer the ingest goes with the lease.
        let _ = caretaker.call(caretaker.content().abort(request));
    }
}

impl Containerd {
    pub fn blob_writer(&self) -> BlobWriter {
        BlobWriter {
            client: self.clone(),
            reference: format!("freezeframe-{}", crate::system::process::unique_name()),
            pending: Vec::with_capacity(CHUNK),
            offset: 0,
            hash: Sha256Digest::default(),
            stream: None,
        }
    }

    fn open_write_stream(&self) -> WriteStream {
        let (messages, receiver) = mpsc::channel(CHUNKS_UNDER_WAY);
        let request = self.request(()).map(|()| ReceiverStream::new(receiver));
        let mut client = self.content();
        let answers = self.runtime.spawn(async move {
            let mut answers = client.write(request).await?.into_inner();
            let mut digest = String::new();
            while let Some(answer) = answers.message().await? {
                digest = answer.digest;
            }
            Ok(digest)
        });
        WriteStream {
            messages,
            answers,
            lease: self.current_lease(),
        }
    }
}

fn is_already_exists(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<CallError>()
        .is_some_and(|error| error.is(Code::AlreadyExists))
}
