//! Layers of the base that the content store lacks, as on nodes that discard what is unpacked, and without which nobody can
//! push the new image. The real nerdctl fetches them, as its own commit does: it knows the registries and has the credentials.
//!
//! The new image exists by then and holds what comes, so nothing that happens here fails the commit. A signal ends it, and so
//! does a registry from which nothing comes any more.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use duct::Handle;

use crate::arguments::CommitArguments;
use crate::containerd::Containerd;
use crate::last_words::last_words;
use crate::log;
use crate::passthrough::RealNerdctl;
use crate::plan::{BaseImage, Subject};
use crate::system::signals;

/// containerd's own. Others (stargz, SOCI, nydus) are there so that layers need not be fetched.
const WANTS_LAYERS: &str = "overlayfs";
/// Longer than a registry takes to answer, or the store to have a large layer on disk.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is done sooner needs no words.
const UNNOTICED: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);

/// Supplying what is lacking.
pub struct Supply<'a> {
    /// Its calls ignore signals: the image is made.
    pub containerd: &'a Containerd,
    pub real: Option<&'a RealNerdctl>,
    pub arguments: &'a CommitArguments,
    pub subject: &'a Subject,
    pub base: &'a BaseImage,
}

/// How far it is; any change is a step forward.
#[derive(PartialEq, Eq)]
struct Progress {
    missing: usize,
    bytes_arriving: i64,
}

impl Supply<'_> {
    /// Has what is lacking fetched, if it can be; returns what is to be said of what is lacking still.
    pub fn run(&self) -> Option<String> {
        if self.missing() == 0 {
            return None;
        }
        let source = self.base.source(&self.subject.image);
        let reason = match (self.real, &source) {
            (Some(real), Some(source)) if self.subject.snapshotter == WANTS_LAYERS => {
                self.fetch(real, source).err()
            }
            _ => None,
        };
        let missing = self.missing();
        (missing > 0).then(|| self.warning(missing, source.is_some(), reason))
    }

    /// None where containerd does not answer any more.
    fn missing(&self) -> usize {
        self.base.missing(self.containerd).unwrap_or_default()
    }

    /// # Errors
    /// Why not all of them came.
    fn fetch(&self, real: &RealNerdctl, source: &str) -> Result<()> {
        let was_known = self.containerd.image(source)?.is_some();
        let fetched = self.pull(real, source);
        if !was_known {
            self.containerd.remove_image(source)?;
        }
        fetched
    }

    fn pull(&self, real: &RealNerdctl, source: &str) -> Result<()> {
        let platform = format!("--platform={}", self.base.platform());
        let mut words = self.arguments.globals.clone();
        let own = ["pull", "--quiet", "--unpack=false", &platform, source];
        words.extend(own.map(OsString::from));
        let pulling = real.start(words)?;
        let ended = self.wait(&pulling);
        if ended.is_err() {
            // It has nothing to undo.
            let _ = pulling.kill();
        }
        ended
    }

    fn wait(&self, pulling: &Handle) -> Result<()> {
        let began = Instant::now();
        let (mut seen, mut looked) = (self.progress(), began);
        let mut is_noted = false;
        loop {
            if let Some(output) = pulling.wait_timeout(POLL)? {
                if output.status.success() {
                    return Ok(());
                }
                bail!(last_words(&output.stderr).unwrap_or(output.status.to_string()));
            }
            signals::check().context("not waited for any longer")?;
            if !is_noted && began.elapsed() > UNNOTICED {
                self.note(seen.missing);
                is_noted = true;
            }
            if looked.elapsed() > PATIENCE {
                let now = self.progress();
                if now == seen {
                    bail!("nothing has come for {} seconds", PATIENCE.as_secs());
                }
                (seen, looked) = (now, Instant::now());
            }
        }
    }

    fn progress(&self) -> Progress {
        let layers: Vec<_> = self.base.layer_digests().collect();
        let arriving = self.containerd.bytes_arriving(&layers);
        Progress {
            missing: self.missing(),
            bytes_arriving: arriving.unwrap_or_default(),
        }
    }

    fn note(&self, missing: usize) {
        log::information(&format!(
            "the image is made; {missing} of the {} layers of its base are being fetched, so that it can be pushed (Ctrl-C ends \
             that)",
            self.base.layers.len()
        ));
    }

    /// How to get what is lacking as well, where the name leads to that.
    fn warning(&self, missing: usize, leads_there: bool, reason: Option<anyhow::Error>) -> String {
        let (flags, name) = (self.containerd.flags(), &self.subject.image);
        let remedy = if leads_there {
            format!(
                ", as by `nerdctl {flags}pull --unpack=false {name}` or `ctr {flags}content fetch {name}`"
            )
        } else {
            String::new()
        };
        let reason = reason.map_or(String::new(), |reason| {
            format!(" (the real nerdctl did not get them: {reason:#})")
        });
        format!(
            "{missing} of the {} layers of the base image are not in the content store: the new image runs here, but cannot be \
             pushed or saved until they are fetched again{remedy}{reason}",
            self.base.layers.len()
        )
    }
}
