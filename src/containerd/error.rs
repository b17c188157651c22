//! Why the daemon was not reached, or a call did not succeed.

use std::path::Path;

use tonic::{Code, Status};

use crate::system::signals;

/// There is no daemon at the address.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub(super) String);

impl Unreachable {
    pub fn at(address: &Path) -> Self {
        Self(format!(
            "cannot reach containerd at {}: is it running, and is the address right (--address, CONTAINERD_ADDRESS)?",
            address.display()
        ))
    }
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error("containerd: {}", said_by(.0))]
    Daemon(Status),
    #[error("{0}")]
    Stopped(#[source] signals::Stopped),
}

impl CallError {
    pub fn is(&self, code: Code) -> bool {
        matches!(self, Self::Daemon(status) if status.code() == code)
    }

    pub fn is_lost(&self) -> bool {
        matches!(self, Self::Daemon(status) if is_lost(status))
    }
}

/// Whether the connection broke, or cannot be made: such a status has a source, what containerd says has none.
fn is_lost(status: &Status) -> bool {
    std::error::Error::source(status).is_some()
}

fn said_by(status: &Status) -> &str {
    if is_lost(status) {
        return "the connection is lost: it has ended, or was restarted; try again when it runs";
    }
    status.message()
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        Self::Daemon(status)
    }
}

pub fn absent_is_none<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Err(error) if error.is(Code::NotFound) => Ok(None),
        other => other.map(Some),
    }
}
