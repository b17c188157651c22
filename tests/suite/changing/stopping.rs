//! Stopped in the middle, in each of the ways in which a container ends.

use super::{Scene, nothing};
use harness::{Container, Daemon, Result};

fn stopped_by<'d>(
    daemon: &'d Daemon,
    act: impl Fn(&Container<'d>) -> Result,
    state: Option<&str>,
) -> Result {
    let scene = Scene::new(daemon, nothing)?;
    scene.at_every_stage(act, state, Container::start)
}

#[test]
fn a_container_whose_first_process_is_killed_meanwhile_is_taken_at_one_moment() -> Result {
    stopped_by(&Daemon::start()?, Container::kill, Some("stopped"))
}

#[test]
fn a_container_that_is_stopped_meanwhile_is_taken_at_one_moment() -> Result {
    stopped_by(&Daemon::start()?, Container::stop, Some("stopped"))
}

#[test]
fn a_container_whose_task_is_deleted_meanwhile_is_taken_at_one_moment() -> Result {
    stopped_by(&Daemon::start()?, Container::delete_task, None)
}
