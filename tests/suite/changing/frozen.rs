//! What others do while the commit has it frozen: it holds afterwards, and the image is of one moment.
//!
//! The commit is stopped (SIGSTOP) within its freeze, which a large file that never holds still makes
//! long enough to be caught.

use super::removal::{begin_removal, expect_named_as_removed};
use super::{IMAGE, PATIENCE, Scene, WRITERS};
use crate::FREEZEFRAME;
use harness::{BASE, Commit, Container, Daemon, Leftovers, Result, Signal, wait_until};

impl<'d> Scene<'d> {
    fn that_freezes_long(daemon: &'d Daemon) -> Result<Self> {
        let work = format!("probe big /big 96 & {WRITERS}");
        let container = Container::run(daemon, BASE, &["sh", "-c", &work])?;
        container.wait_for("/law0/ready")?;
        container.wait_for("/big")?;
        daemon.ctr().collect_garbage()?;
        Ok(Self {
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
            before: Leftovers::now(&container)?,
            container,
        })
    }

    /// A commit within whose freeze `act` is done.
    fn commit_frozen_while<T>(
        &self,
        act: impl FnOnce(&Container<'d>) -> Result<T>,
    ) -> Result<(Commit, T)> {
        let committing = self
            .freezeframe
            .hold_commit_in_freeze(&self.container, IMAGE)?;
        let acted = act(&self.container);
        committing.signal(Signal::CONT)?;
        let commit = committing.finish()?;
        Ok((commit, acted?))
    }

    fn expect_lawful(&self, commit: Commit, state: Option<&str>, what: &str) -> Result {
        let commit = commit.succeeded()?;
        assert_eq!(commit.report["strategy"], "direct", "{what}");
        self.expect_state(state, what)?;
        self.expect_lawful_image(what)
    }
}

#[test]
fn a_program_is_refused_while_it_is_frozen_and_runs_afterwards() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let (commit, refused) = scene.commit_frozen_while(|it| it.exec(&["true"]))?;
    let said = refused.failed()?.error_text();
    assert!(said.contains("paused"), "{said}");
    scene.expect_lawful(commit, Some("running"), "exec")?;
    scene.container.output(&["true"])?;
    scene.expect_nothing_left()
}

#[test]
fn pauses_and_resumptions_while_it_is_frozen_leave_it_as_it_is() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    // There is nothing that runs to be paused.
    let (commit, paused) = scene.commit_frozen_while(|it| Ok(it.pause().is_ok()))?;
    assert!(!paused, "paused, though it was frozen");
    scene.expect_lawful(commit, Some("running"), "pause")?;
    // Whether it is refused or thaws, it runs afterwards.
    let (commit, _) = scene.commit_frozen_while(|it| Ok(it.unpause().is_ok()))?;
    scene.expect_lawful(commit, Some("running"), "unpause")?;
    let thaw = |it: &Container| it.freezer()?.set_frozen(false);
    let (commit, ()) = scene.commit_frozen_while(thaw)?;
    scene.expect_lawful(commit, Some("running"), "thaw")?;
    scene.expect_nothing_left()
}

#[test]
fn stops_and_kills_while_it_is_frozen_end_it() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let (commit, ()) = scene.commit_frozen_while(Container::stop)?;
    scene.expect_lawful(commit, Some("stopped"), "stop")?;
    scene.container.start()?;
    let (commit, ()) = scene.commit_frozen_while(Container::kill)?;
    scene.expect_lawful(commit, Some("stopped"), "kill")?;
    scene.container.start()?;
    let (commit, ()) = scene.commit_frozen_while(Container::restart)?;
    scene.expect_lawful(commit, Some("running"), "restart")?;
    scene.expect_nothing_left()
}

#[test]
fn a_removal_while_it_is_frozen_is_done_afterwards() -> Result {
    let daemon = Daemon::start()?;
    let witness = daemon.run(&["sleep", "1000"])?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&witness)?;
    let scene = Scene::that_freezes_long(&daemon)?;
    let (commit, mut remover) = scene.commit_frozen_while(begin_removal)?;
    let status = wait_until("the removal", PATIENCE, || Ok(remover.try_wait()?))?;
    assert!(status.success());
    assert_eq!(scene.container.status()?, None);
    // Without the container there is no more of it to be seen than this.
    if commit.outcome.status.success() {
        scene.expect_lawful_image("rm")?;
        daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    } else {
        expect_named_as_removed(&scene, &commit, "rm");
    }
    daemon.ctr().collect_garbage()?;
    before.assert_unchanged(&Leftovers::now(&witness)?);
    Ok(())
}
