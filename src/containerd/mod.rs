//! The daemon, as the rest of the program sees it: blocking calls, one namespace, one lease.
//!
//! Every request carries the namespace and, once one is held, the lease, which owns what is created that way. A call gives
//! up when a signal asks the commit to stop, and when the daemon answers nobody any more; `steady` makes calls that heed no
//! signal, `for_cleaning_up` those that end within a bound as well: the requests of those two carry no lease. gRPC needs a
//! runtime; it lives here and nowhere else.

mod blob_writer;
mod content;
mod error;
mod images;
mod ingest;
pub mod labels;
mod lease;
mod runtime;
mod snapshots;
mod tasks;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use containerd_client::services::v1::{
    Container, GetContainerRequest, ListContainersRequest, containers_client::ContainersClient,
    introspection_client::IntrospectionClient, version_client::VersionClient,
};
use nix::unistd::{AccessFlags, eaccess};
use tokio::net::UnixStream;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

pub use blob_writer::{BlobWriter, WrittenBlob};
pub use error::Unreachable;
pub use lease::Lease;
pub use snapshots::OverlayMount;
pub use tasks::{Task, TaskStatus};

use error::{CallError, absent_is_none};
use runtime::Runtime;

use crate::log;
use crate::settings::{DEFAULT_ADDRESS, DEFAULT_NAMESPACE};
use crate::system::signals;
use crate::system::text::{lowercase_reason, quoted};

/// Manifests and configurations with thousands of layers exceed tonic's 4 MiB; containerd itself sends up to 16 MiB.
const LARGEST_MESSAGE: usize = 16 << 20;
/// Undoing must not hang on a daemon that no longer answers.
const CLEAN_UP_BOUND: Duration = Duration::from_secs(10);
const SIGNAL_POLL: Duration = Duration::from_millis(20);
/// How long a call may take before the daemon is asked for a sign of life, and how long that may take. A daemon that gives
/// one is waited for: a large snapshot or a slow disk take their time.
const CALL_PATIENCE: Duration = Duration::from_secs(10);
const SILENCE_BOUND: Duration = Duration::from_secs(20);

/// A connection to one containerd, in one namespace.
#[derive(Clone)]
pub struct Containerd {
    runtime: Arc<Runtime>,
    channel: Channel,
    address: PathBuf,
    namespace: String,
    lease: Arc<Mutex<Option<String>>>,
    patience: Patience,
}

/// What ends the wait for an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// A signal, or the daemon's silence.
    Interruptible,
    /// Its silence alone.
    Steady,
    Bounded(Duration),
}

impl Containerd {
    /// Connects to the socket `address` (a path).
    ///
    /// # Errors
    /// `Unreachable`: nothing listens there, or it may not be opened.
    pub fn connect(address: &Path, namespace: &str) -> Result<Self> {
        let runtime = Runtime::start()?;
        check_access(address)?;
        // The plain connect tells why (refused, nobody there, too many waiting), which tonic's error hides.
        runtime
            .block_on(UnixStream::connect(address))
            .with_context(|| Unreachable::at(address))?;
        let channel = runtime
            .block_on(containerd_client::connect(address))
            .with_context(|| Unreachable::at(address))?;
        Ok(Self {
            runtime: Arc::new(runtime),
            channel,
            address: address.to_owned(),
            namespace: namespace.to_owned(),
            lease: Arc::default(),
            patience: Patience::Interruptible,
        })
    }

    /// The socket's path.
    pub fn address(&self) -> &Path {
        &self.address
    }

    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What command lines of ctr and nerdctl need to mean this daemon and namespace, a blank after each word.
    pub fn flags(&self) -> String {
        let address = (self.address != Path::new(DEFAULT_ADDRESS))
            .then(|| format!("-a {} ", self.address.display()));
        let namespace =
            (self.namespace != DEFAULT_NAMESPACE).then(|| format!("-n {} ", self.namespace));
        [address, namespace].into_iter().flatten().collect()
    }

    /// The same connection for what is not to be interrupted, as it would be done or not and nobody knew; it needs no lease.
    fn steady(&self) -> Self {
        Self {
            patience: Patience::Steady,
            lease: Arc::default(),
            ..self.clone()
        }
    }

    /// The same connection for undoing: its calls ignore signals, end within a bound, and need no lease.
    pub fn for_cleaning_up(&self) -> Self {
        self.within(CLEAN_UP_BOUND)
    }

    fn within(&self, bound: Duration) -> Self {
        Self {
            patience: Patience::Bounded(bound),
            lease: Arc::default(),
            ..self.clone()
        }
    }

    /// What tells this daemon from others, whatever leads to it: made once, and kept in its root. Empty where it cannot say.
    pub fn identity(&self) -> Result<String> {
        let mut client = IntrospectionClient::new(self.channel.clone());
        match self.call(client.server(())) {
            Ok(answer) => Ok(answer.uuid),
            Err(error @ CallError::Daemon(_)) => {
                log::debug(&format!("no identity of containerd: {error}"));
                Ok(String::new())
            }
            Err(stopped) => Err(stopped.into()),
        }
    }

    /// The container with exactly this ID.
    pub fn container(&self, id: &str) -> Result<Option<Container>> {
        let request = self.request(GetContainerRequest { id: id.to_owned() });
        let answer = self.call(self.containers().get(request));
        Ok(absent_is_none(answer)
            .with_context(|| format!("reading container {id}"))?
            .and_then(|response| response.container))
    }

    /// The containers that match any of containerd's `filters` (pkg/filters of containerd's source).
    ///
    /// # Errors
    /// A filter that containerd does not understand: its words, as its own client puts them.
    pub fn containers_matching(&self, filters: Vec<String>) -> Result<Vec<Container>> {
        let request = self.request(ListContainersRequest { filters });
        match self.call(self.containers().list(request)) {
            Err(CallError::Daemon(status)) if status.code() == Code::InvalidArgument => {
                bail!("{}", status.message())
            }
            answer => Ok(answer.context("listing containers")?.containers),
        }
    }

    fn containers(&self) -> ContainersClient<Channel> {
        ContainersClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// A request with the namespace and the lease in its metadata (containerd's pkg/namespaces and core/leases, `grpc.go`).
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        if let Ok(value) = self.namespace.parse() {
            metadata.insert("containerd-namespace", value);
        }
        if let Some(Ok(value)) = self.current_lease().map(|lease| lease.parse()) {
            metadata.insert("containerd-lease", value);
        }
        request
    }

    fn current_lease(&self) -> Option<String> {
        self.lease
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn call<T>(
        &self,
        future: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CallError> {
        self.wait(async { Ok(future.await?.into_inner()) })
    }

    /// Fails where the daemon answers nobody.
    pub fn ensure_it_answers(&self) -> Result<()> {
        self.call(VersionClient::new(self.channel.clone()).version(()))?;
        Ok(())
    }

    /// Waits for `future`; a signal or the daemon's silence, or for clean-up the bound, end the wait.
    fn wait<T>(&self, future: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
        self.runtime.block_on(async {
            tokio::select! {
                answer = future => answer,
                gave_up = self.give_up() => Err(gave_up),
            }
        })
    }

    async fn give_up(&self) -> CallError {
        match self.patience {
            Patience::Interruptible => tokio::select! {
                stopped = signal() => CallError::Stopped(stopped),
                () = self.silence() => self.unanswered(),
            },
            Patience::Steady => {
                self.silence().await;
                self.unanswered()
            }
            Patience::Bounded(bound) => {
                tokio::time::sleep(bound).await;
                self.unanswered()
            }
        }
    }

    fn unanswered(&self) -> CallError {
        let address = self.address().display();
        CallError::Daemon(Status::deadline_exceeded(format!(
            "it does not answer at {address}: is it stopped, or its disk stuck?"
        )))
    }

    /// Comes to an end when the daemon has given no sign of life for long.
    async fn silence(&self) {
        loop {
            tokio::time::sleep(CALL_PATIENCE).await;
            let mut client = VersionClient::new(self.channel.clone());
            let answer = client.version(());
            if tokio::time::timeout(SILENCE_BOUND, answer).await.is_err() {
                return;
            }
        }
    }
}

async fn signal() -> signals::Stopped {
    loop {
        if let Err(stopped) = signals::check() {
            return stopped;
        }
        tokio::time::sleep(SIGNAL_POLL).await;
    }
}

/// In nerdctl's words, which names the socket and the reason.
fn check_access(address: &Path) -> Result<(), Unreachable> {
    let name = quoted(&address.display().to_string());
    eaccess(address, AccessFlags::R_OK | AccessFlags::W_OK).map_err(|error| {
        let reason = lowercase_reason(&error.into());
        Unreachable(format!("cannot access containerd socket {name}: {reason}"))
    })
}

/// A field that containerd always sends.
fn required<T>(field: Option<T>, what: &str) -> Result<T> {
    match field {
        Some(value) => Ok(value),
        None => bail!("containerd's answer has no {what}"),
    }
}

/// A connection to a daemon of the tests, in its namespace.
#[cfg(test)]
pub fn client(daemon: &harness::Daemon) -> Containerd {
    let ctr = daemon.ctr();
    Containerd::connect(Path::new(&ctr.address), &ctr.namespace).unwrap()
}
