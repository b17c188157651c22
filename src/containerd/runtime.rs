//! The runtime that gRPC needs, on a thread of its own: tokio's would panic where no thread is to be had.

use std::future::Future;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Runs until it is dropped.
pub struct Runtime {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    pub fn start() -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.context("making the client's runtime")?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let run = move || {
            // The sender says nothing: it is dropped.
            let _ = runtime.block_on(stopped);
        };
        let thread = thread::Builder::new().name("client".into()).spawn(run);
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread.context("starting the thread of the client's runtime")?),
        })
    }

    /// Waits for `future` in the thread that asks.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    pub fn spawn<F>(&self, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send,
    {
        self.handle.spawn(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // What has panicked there has told whoever waited for it.
            let _ = thread.join();
        }
    }
}
