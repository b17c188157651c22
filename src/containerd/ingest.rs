//! An ingest: what the content store has of a blob before it is one.
//!
//! Of the write protocol (containerd's services/content/contentserver): an offset of 0 after data truncates, so every
//! message carries the running one; a commit that names its digest leases and labels nothing where the blob exists, so
//! that of streamed bytes does not.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use containerd_client::services::v1::{AbortRequest, WriteAction, WriteContentRequest};
use tokio::sync::mpsc::{self, Sender};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use super::blob_writer::WrittenBlob;
use super::{CallError, Containerd};
use crate::system::identity::unique_name;

const MESSAGES_UNDER_WAY: usize = 4;

/// Owned by the lease. Dropped before it is committed, it is gone from the store.
pub(super) struct Ingest {
    client: Containerd,
    reference: String,
    offset: u64,
    stream: Option<WriteStream>,
    /// Whether the store may know of it.
    is_begun: bool,
}

struct WriteStream {
    messages: Sender<WriteContentRequest>,
    /// Ends with the digest that the daemon reports last.
    answers: JoinHandle<Result<String, Status>>,
    lease: Option<String>,
}

impl Ingest {
    pub(super) fn new(client: &Containerd) -> Self {
        Self {
            client: client.clone(),
            reference: format!("freezeframe-{}", unique_name()),
            offset: 0,
            stream: None,
            is_begun: false,
        }
    }

    /// Makes it, with nothing in it; the store has it when this returns.
    pub(super) fn begin(&mut self) -> Result<()> {
        self.send(WriteAction::Stat, WriteContentRequest::default())?;
        self.finish_stream().map(drop)
    }

    /// Adds `data`, waiting where the daemon is slower than we are.
    pub(super) fn send_data(&mut self, data: Vec<u8>) -> Result<()> {
        let length = data.len() as u64;
        let message = WriteContentRequest {
            data,
            ..Default::default()
        };
        self.send(WriteAction::Write, message)?;
        self.offset += length;
        Ok(())
    }

    /// Makes a blob of what was sent; returns its digest.
    ///
    /// # Errors
    /// [`is_already_exists`] where the store has that blob.
    pub(super) fn commit(mut self, labels: HashMap<String, String>) -> Result<String> {
        self.continue_under_current_lease()?;
        let message = WriteContentRequest {
            total: signed(self.offset),
            labels,
            ..Default::default()
        };
        self.finish(message)
    }

    /// Makes a blob of a file that lies where the store has its blobs, under the name that its digest gives it; nothing
    /// was sent. containerd does so for blobs of other namespaces (core/metadata/content.go of its source).
    ///
    /// # Errors
    /// [`is_out_of_range`] where the store does not have that file; [`is_already_exists`] as above.
    pub(super) fn commit_file(
        mut self,
        blob: &WrittenBlob,
        labels: HashMap<String, String>,
    ) -> Result<String> {
        self.offset = blob.size;
        let message = WriteContentRequest {
            total: signed(blob.size),
            expected: blob.digest.clone(),
            labels,
            ..Default::default()
        };
        self.finish(message)
    }

    /// Has it stay for as long as the lease does. As it goes then, containerd looks for files that are nobody's, which it
    /// does not when it is told to drop one.
    pub(super) fn leave_to_lease(&mut self) {
        self.is_begun = false;
    }

    fn finish(&mut self, message: WriteContentRequest) -> Result<String> {
        self.send(WriteAction::Commit, message)?;
        let digest = self.finish_stream()?;
        self.is_begun = false;
        Ok(digest)
    }

    /// A stream keeps the lease it began with; once relayed, that one may be gone before the commit.
    fn continue_under_current_lease(&mut self) -> Result<()> {
        let current = self.client.current_lease();
        let began = self.stream.as_ref().map(|stream| &stream.lease);
        if began.is_some_and(|lease| *lease != current) {
            self.finish_stream()?;
        }
        Ok(())
    }

    fn send(&mut self, action: WriteAction, message: WriteContentRequest) -> Result<()> {
        let message = WriteContentRequest {
            action: action.into(),
            r#ref: self.reference.clone(),
            offset: signed(self.offset),
            ..message
        };
        self.is_begun = true;
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

impl Drop for Ingest {
    fn drop(&mut self) {
        if !self.is_begun {
            return;
        }
        if let Some(stream) = self.stream.take() {
            stream.answers.abort();
        }
        let caretaker = self.client.for_cleaning_up();
        let request = caretaker.request(AbortRequest {
            r#ref: self.reference.clone(),
        });
        // Without an answer the ingest goes with the lease.
        let _ = caretaker.call(caretaker.content().abort(request));
    }
}

impl Containerd {
    fn open_write_stream(&self) -> WriteStream {
        let (messages, receiver) = mpsc::channel(MESSAGES_UNDER_WAY);
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

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

pub(super) fn is_already_exists(error: &anyhow::Error) -> bool {
    is(error, Code::AlreadyExists)
}

pub(super) fn is_out_of_range(error: &anyhow::Error) -> bool {
    is(error, Code::OutOfRange)
}

fn is(error: &anyhow::Error, code: Code) -> bool {
    error
        .downcast_ref::<CallError>()
        .is_some_and(|error| error.is(code))
}
