//! A container that is paused in a cgroup below its own runs again when it is resumed, though a commit had frozen it when
//! that pause was asked for.
//!
//! crun does so with systemd's scopes: its processes are in a cgroup `container` below (crun(1), `run.oci.systemd.subgroup`).
//! Here runc has a container whose first process has been moved there.

use super::IMAGE;
use super::freezing::{run, runc_but, status};
use crate::FREEZEFRAME;
use harness::{Committing, Daemon, Freezeframe, Freezer, Result, Signal, wait_until};
use std::fs;
use std::time::Duration;

/// Pauses, and resumes, what is in the cgroup that is written in a file.
const CASES: &str = r#"*' pause '*) state=FROZEN; frozen=1;; *' resume '*) state=THAWED; frozen=0;; esac
    if [ "$state" ]; then
        cd "$(cat FILE)" && if [ -e freezer.state ]; then echo $state >freezer.state; else echo $frozen >cgroup.freeze; fi
        exit
    fi
    case x in"#;

struct Scene<'d> {
    daemon: &'d Daemon,
    id: String,
    /// Of the container's own cgroup.
    whole: Freezer,
    freezeframe: Freezeframe<'d>,
}

impl<'d> Scene<'d> {
    fn of(daemon: &'d Daemon) -> Result<Self> {
        let file = daemon.run_folder().join("below");
        let runc = runc_but(daemon, &CASES.replace("FILE", &file.display().to_string()))?;
        let id = daemon.unique(&daemon.ctr().namespace);
        let words = ["probe", "big", "/big", "96"];
        let whole = run(daemon, &["--runc-binary", &runc], &id, &words)?;
        let below = whole.folder().join("container");
        fs::create_dir(&below)?;
        for process in fs::read_to_string(whole.folder().join("cgroup.procs"))?.lines() {
            fs::write(below.join("cgroup.procs"), process)?;
        }
        fs::write(file, below.display().to_string())?;
        Ok(Self {
            daemon,
            id,
            whole,
            freezeframe: daemon.freezeframe(FREEZEFRAME)?,
        })
    }

    /// A commit that has frozen the container, which is paused then.
    fn pause_in_freeze(&self) -> Result<Committing> {
        let freezeframe = &self.freezeframe;
        let committing = freezeframe.hold_commit_of_in_freeze(&self.id, &self.whole, IMAGE)?;
        self.daemon.ctr().run(&["tasks", "pause", &self.id])?;
        Ok(committing)
    }

    fn expect_paused_until_resumed(&self) -> Result {
        let pid = self.daemon.ctr().task(&self.id)?.expect("a task").0;
        let below = Freezer::of_process(&self.daemon.cgroup_root(), pid)?;
        assert_eq!(status(self.daemon, &self.id)?.as_deref(), Some("paused"));
        assert!(below.is_frozen(), "paused, but it runs");
        self.daemon.ctr().run(&["tasks", "resume", &self.id])?;
        wait_until("the container running", Duration::from_secs(5), || {
            Ok((!below.is_frozen()).then_some(()))
        })
    }
}

#[test]
fn a_pause_below_during_our_freeze_holds_until_it_is_resumed() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::of(&daemon)?;
    let committing = scene.pause_in_freeze()?;
    committing.signal(Signal::CONT)?;
    committing.finish()?.succeeded()?;
    scene.expect_paused_until_resumed()
}

#[test]
fn a_pause_below_during_a_freeze_that_is_left_behind_holds_until_it_is_resumed() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::of(&daemon)?;
    let committing = scene.pause_in_freeze()?;
    committing.signal_watchdog(Signal::KILL)?;
    committing.signal(Signal::KILL)?;
    committing.finish()?;
    let next = scene.freezeframe.start_commit_of(&scene.id, IMAGE, &[])?;
    next.finish()?.succeeded()?;
    scene.expect_paused_until_resumed()
}
