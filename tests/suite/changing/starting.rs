//! Started and restarted in the middle, and asked about while nobody answers.

use super::{IMAGE, Scene, nothing};
use harness::{Container, Daemon, Result, Signal};
use rustix::process::{Pid, kill_process};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_stopped_container_that_is_started_meanwhile_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, Container::stop)?;
    scene.at_every_stage(Container::start, Some("running"), Container::stop)
}

#[test]
fn a_container_that_is_restarted_meanwhile_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    scene.at_every_stage(Container::restart, Some("running"), nothing)
}

/// It has run in between, though no look at its state shows that.
#[test]
fn a_stopped_container_that_runs_in_between_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, Container::stop)?;
    let run = |container: &Container| {
        container.start()?;
        sleep(Duration::from_millis(300));
        container.stop()
    };
    scene.at_every_stage(run, Some("stopped"), nothing)
}

/// containerd then says after two seconds that it does not know the container's state.
#[test]
fn a_shim_that_does_not_answer_for_seconds_is_waited_for() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    let shim = Pid::from_raw(parent(scene.container.pid()?)?).expect("a process");
    let mut committing = scene
        .freezeframe
        .start_commit(&scene.container, IMAGE, &["--debug"])?;
    committing.wait_for_stage("copy")?;
    kill_process(shim, Signal::STOP)?;
    sleep(Duration::from_secs(3));
    kill_process(shim, Signal::CONT)?;
    committing.finish()?.succeeded()?;
    scene.expect_state(Some("running"), "the wait")?;
    scene.expect_lawful_image("the wait")?;
    scene.expect_nothing_left()
}

/// Field 4 of `proc_pid_stat(5)`.
fn parent(process: u32) -> Result<i32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let field = after_name.split(' ').nth(1).unwrap_or_default();
    Ok(field.parse()?)
}
