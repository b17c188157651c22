//! The right of way for a thread that must not miss a moment, however busy the machine is.

use crate::Result;
use anyhow::Context;
use rustix::process::{getpriority_process, setpriority_process};
use rustix::thread::gettid;

/// The thread that made it comes first until it is dropped there.
pub struct Haste {
    usual: i32,
}

impl Haste {
    pub fn new() -> Result<Self> {
        let thread = Some(gettid());
        let usual = getpriority_process(thread).context("reading our priority")?;
        setpriority_process(thread, -20).context("raising our priority")?;
        Ok(Self { usual })
    }
}

impl Drop for Haste {
    fn drop(&mut self) {
        // Lowering it is always allowed.
        let _ = setpriority_process(Some(gettid()), self.usual);
    }
}
