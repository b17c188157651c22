//! Layers of the base that the content store lacks, as on nodes that discard what is unpacked, and without which nobody can
//! push the new image. The real nerdctl fetches them, as its own commit does: it knows the registries and has the credentials.
//!
//! The new image exists by then and holds what comes, so nothing that happens here fails the commit. A signal ends it, and so
//! does a registry from which nothing comes any more.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use duct::Handle;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::arguments::CommitArguments;
use crate::containerd::Containerd;
use crate::last_words::last_words;
use crate::log;
use crate::passthrough::RealNerdctl;
use crate::plan::{DirectPlan, Subject};
use crate::stages::Stages;
use crate::system::identity::unique_name;
use crate::system::signals;

/// containerd's own. Others (stargz, SOCI, nydus) are there so that layers need not be fetched.
const WANTS_LAYERS: &str = "overlayfs";
/// nerdctl goes on to the next mirror, or gives up, when one has not taken its connection for 30 seconds (containerd's
/// core/remotes/docker and Go's `net.Dialer`); before anything comes there are two requests.
const PATIENCE: Duration = Duration::from_secs(90);
/// What is done sooner needs no words.
const UNNOTICED: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(20);
/// How long the real nerdctl may take to end when it is asked to.
const LAST_SECOND: Duration = Duration::from_secs(1);

/// Supplying what is lacking.
pub struct Supply<'a> {
    /// Its calls ignore signals: the image is made.
    pub containerd: &'a Containerd,
    pub real: Option<&'a RealNerdctl>,
    pub arguments: &'a CommitArguments,
    pub subject: &'a Subject,
    pub plan: &'a DirectPlan,
}

/// How far it is; any change is a step forward.
#[derive(PartialEq, Eq)]
struct Progress {
    missing: usize,
    bytes_arriving: i64,
}

impl Supply<'_> {
    /// Has what is lacking fetched, if it can be; returns what is to be said of what is lacking still.
    pub fn run(&self, stages: &mut Stages) -> Option<String> {
        // Where containerd does not answer there is nothing to say.
        let missing = self.plan.base.missing(self.containerd).ok()?;
        (missing > 0).then(|| stages.time("fetch", || self.supply(missing)))?
    }

    fn supply(&self, missing: usize) -> Option<String> {
        let DirectPlan { base, parent, .. } = self.plan;
        let source = base.source(self.containerd, self.subject, parent);
        let source = source.ok().flatten();
        let reason = match (self.real, &source) {
            (Some(real), Some(source)) if self.subject.snapshotter == WANTS_LAYERS => {
                self.fetch(real, source).err()
            }
            _ => None,
        };
        // Where containerd does not answer any more, nothing is known to have come.
        let missing = self.plan.base.missing(self.containerd).unwrap_or(missing);
        (missing > 0).then(|| self.warning(missing, source, reason))
    }

    /// The record that a pull makes goes again, as the new image holds what has come. It has a name of its own, so that nobody
    /// else's goes with it; nerdctl before 2.0 drops the tag beside a digest, and leaves a record.
    ///
    /// # Errors
    /// Why not all of them came.
    fn fetch(&self, real: &RealNerdctl, source: &str) -> Result<()> {
        ensure_wanted()?;
        let tag = format!(":freezeframe-{}@", unique_name());
        let name = source.replacen('@', &tag, 1);
        let fetched = self.pull(real, &name);
        if let Err(error) = self.containerd.remove_image(&name) {
            log::debug(&format!("{error:#}"));
        }
        fetched
    }

    fn pull(&self, real: &RealNerdctl, name: &str) -> Result<()> {
        let platform = format!("--platform={}", self.plan.base.platform());
        let mut words = self.arguments.globals.clone();
        let own = ["pull", "--quiet", "--unpack=false", &platform, name];
        words.extend(own.map(OsString::from));
        let pulling = real.start_apart(words)?;
        let ended = self.wait(&pulling);
        if ended.is_err() {
            end(&pulling);
        }
        ended
    }

    fn wait(&self, pulling: &Handle) -> Result<()> {
        let began = Instant::now();
        let mut patience = Patience::new(self.progress()?);
        let mut is_noted = false;
        loop {
            if let Some(output) = pulling.wait_timeout(POLL)? {
                if output.status.success() {
                    return Ok(());
                }
                bail!(last_words(&output.stderr).unwrap_or(output.status.to_string()));
            }
            ensure_wanted()?;
            if !is_noted && began.elapsed() > UNNOTICED {
                self.note(patience.seen.missing);
                is_noted = true;
            }
            if !patience.lasts(|| self.progress())? {
                bail!("nothing has come for {} seconds", PATIENCE.as_secs());
            }
        }
    }

    fn progress(&self) -> Result<Progress> {
        let layers: Vec<_> = self.plan.base.layer_digests().collect();
        Ok(Progress {
            missing: self.plan.base.missing(self.containerd)?,
            bytes_arriving: self.containerd.bytes_arriving(&layers)?,
        })
    }

    fn note(&self, missing: usize) {
        log::information(&format!(
            "the image is made; {missing} of the {} layers of its base are being fetched, so that it can be pushed (Ctrl-C ends \
             that)",
            self.plan.base.layers.len()
        ));
    }

    /// What is to be known of the new image; how to get what is lacking as well, where it is known who may have it. nerdctl's
    /// push fetches what an image lacks by its name (pkg/cmd/image, `EnsureAllContent`), which leads to what has come then.
    fn warning(
        &self,
        missing: usize,
        source: Option<String>,
        reason: Option<anyhow::Error>,
    ) -> String {
        let flags = self.containerd.flags();
        let remedy = source.map_or(String::new(), |source| {
            format!(
                ", as by `nerdctl {flags}pull --unpack=false {source}` or `ctr {flags}content fetch {source}`"
            )
        });
        let reason = reason.map_or(String::new(), |reason| {
            format!(" (the real nerdctl did not get them: {reason:#})")
        });
        format!(
            "{missing} of the {} layers of the base image are not in the content store: the new image runs here, but cannot be \
             pushed or saved until they are fetched again{remedy}: a push that is tried all the same puts what a registry has \
             under its name in its place{reason}",
            self.plan.base.layers.len()
        )
    }
}

fn ensure_wanted() -> Result<()> {
    signals::check().context("not waited for any longer")
}

/// Ends whatever the real nerdctl consists of, which may be a script and what that has started.
fn end(pulling: &Handle) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        for leader in pulling
            .pids()
            .into_iter()
            .filter_map(|pid| i32::try_from(pid).ok())
        {
            // It may have ended by now.
            let _ = killpg(Pid::from_raw(leader), signal);
        }
        if matches!(pulling.wait_timeout(LAST_SECOND), Ok(Some(_))) {
            return;
        }
    }
}

/// Notices when nothing comes any more. A time in which nobody looked, as a terminal had stopped us, does not count.
struct Patience {
    seen: Progress,
    waited: Duration,
}

impl Patience {
    fn new(seen: Progress) -> Self {
        let waited = Duration::ZERO;
        Self { seen, waited }
    }

    /// To be asked after each `POLL`; whether to go on waiting.
    fn lasts(&mut self, look: impl FnOnce() -> Result<Progress>) -> Result<bool> {
        self.waited += POLL;
        if self.waited < PATIENCE {
            return Ok(true);
        }
        let now = look()?;
        let goes_on = now != self.seen;
        *self = Self::new(now);
        Ok(goes_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(missing: usize, bytes_arriving: i64) -> Progress {
        Progress {
            missing,
            bytes_arriving,
        }
    }

    /// What it says when it looks the next time, and sees this.
    fn lasts(patience: &mut Patience, seen: Progress) -> bool {
        let polls = PATIENCE.as_millis() / POLL.as_millis();
        let early = (1..polls).all(|_| patience.lasts(|| bail!("looked too soon")).unwrap());
        assert!(early);
        patience.lasts(|| Ok(seen)).unwrap()
    }

    #[test]
    fn patience_lasts_as_long_as_something_comes() {
        let mut patience = Patience::new(progress(3, 0));
        assert!(lasts(&mut patience, progress(3, 1)));
        assert!(lasts(&mut patience, progress(2, 0)));
        assert!(lasts(&mut patience, progress(1, 0)));
        assert!(!lasts(&mut patience, progress(1, 0)));
    }

    #[test]
    fn a_store_that_cannot_be_asked_ends_patience() {
        let mut patience = Patience::new(progress(1, 0));
        patience.waited = PATIENCE;
        assert!(patience.lasts(|| bail!("gone")).is_err());
    }
}
