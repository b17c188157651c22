//! A container that changes its state in the middle of a commit: the image is of one moment,
//! or the error names the container, which is afterwards in the state that others wanted.
//!
//! The commit is stopped (SIGSTOP) at each stage while somebody else acts. Writers in the
//! container keep the probe's law, in a directory of their own each time they are started.

mod at_random;
mod created;
mod executing;
mod frozen;
mod pausing;
mod removal;
mod starting;
mod stopping;

use crate::FREEZEFRAME;
use harness::{
    BASE, Commit, Container, Daemon, Freezeframe, Leftovers, Result, View, check_law, wait_until,
};
use std::fs;
use std::time::Duration;

const IMAGE: &str = "docker.io/library/changing:latest";
const STAGES: [&str; 7] = ["plan", "scan", "copy", "freeze", "finish", "layer", "image"];
const WRITERS: &str = "n=$(ls -d /law* 2>/dev/null | wc -l); exec probe write-law /law$n";
const PATIENCE: Duration = Duration::from_secs(10);

struct Scene<'d> {
    container: Container<'d>,
    freezeframe: Freezeframe<'d>,
    before: Leftovers,
}

impl<'d> Scene<'d> {
    /// A running container, brought by `prepare` into the state in which its commits begin.
    fn new(daemon: &'d Daemon, prepare: impl Fn(&Container<'d>) -> Result) -> Result<Self> {
        let container = writing(daemon)?;
        prepare(&container)?;
        daemon.ctr().collect_garbage()?;
        Ok(Self {
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    /// A commit that stands still at `stage` while `act` is done.
    fn commit_while(
        &self,
        stage: &str,
        act: impl FnOnce(&Container<'d>) -> Result,
    ) -> Result<Commit> {
        let (freezeframe, container) = (&self.freezeframe, &self.container);
        freezeframe.commit_while(container, IMAGE, &[], stage, || act(container))
    }

    /// At every stage: `act`, which leaves the container in `state`, and then `undo`.
    fn at_every_stage(
        &self,
        act: impl Fn(&Container<'d>) -> Result,
        state: Option<&str>,
        undo: impl Fn(&Container<'d>) -> Result,
    ) -> Result {
        for stage in STAGES {
            let commit = self.commit_while(stage, &act)?.succeeded()?;
            assert_eq!(commit.report["strategy"], "direct", "{stage}");
            self.expect_state(state, stage)?;
            self.expect_lawful_image(stage)?;
            undo(&self.container)?;
        }
        self.expect_nothing_left()
    }

    fn expect_state(&self, state: Option<&str>, after: &str) -> Result {
        let what = format!("{state:?} after {after}");
        wait_until(&what, PATIENCE, || {
            Ok((self.container.status()?.as_deref() == state).then_some(()))
        })?;
        let frozen = self
            .container
            .freezer()
            .is_ok_and(|freezer| freezer.is_frozen());
        assert_eq!(frozen, state == Some("paused"), "{what}");
        Ok(())
    }

    fn expect_lawful_image(&self, stage: &str) -> Result {
        let daemon = self.container.daemon();
        let image = View::snapshot(daemon, IMAGE)?;
        let mut laws = 0;
        for entry in fs::read_dir(image.path())? {
            let path = entry?.path();
            if path.join("ready").exists() {
                check_law(daemon, &path).map_err(|error| error.context(stage.to_owned()))?;
                laws += 1;
            }
        }
        assert!(laws > 0, "no writer was ready in the image of {stage}");
        Ok(())
    }

    /// Nothing but the image, that is.
    fn expect_nothing_left(&self) -> Result {
        let ctr = self.container.daemon().ctr();
        ctr.run(&["images", "rm", "--sync", IMAGE])?;
        self.before
            .assert_unchanged(&Leftovers::now(&self.container)?);
        Ok(())
    }
}

/// A container whose writers are under way.
fn writing(daemon: &Daemon) -> Result<Container<'_>> {
    let container = Container::run(daemon, BASE, &["sh", "-c", WRITERS])?;
    container.wait_for("/law0/ready")?;
    Ok(container)
}

#[allow(clippy::unnecessary_wraps)] // It stands for what may fail.
fn nothing(_: &Container) -> Result {
    Ok(())
}
