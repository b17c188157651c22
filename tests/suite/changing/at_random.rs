//! Changes of state at random moments of commits that nobody holds up. For tests/long; the
//! seed is printed, and `TORTURE_SEED` repeats it.

use super::{IMAGE, Scene, nothing};
use crate::torture::Random;
use harness::{Container, Daemon, Result};
use std::thread::sleep;
use std::time::Duration;

const ROUNDS: u32 = 80;
/// Longer than most of these commits take, in milliseconds.
const LATEST: u64 = 300;

type Act = fn(&Container) -> Result;

/// What is done, and what comes of it.
const ACTS: [(Act, &str); 5] = [
    (|container| container.pause(), "paused"),
    (|container| container.unpause(), "running"),
    (|container| container.stop(), "stopped"),
    (|container| container.start(), "running"),
    (|container| container.restart(), "running"),
];

#[test]
#[ignore = "takes minutes: tests/long"]
fn a_container_that_changes_at_random_moments_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    let container = &scene.container;
    let mut random = Random::new();
    for round in 0..ROUNDS {
        let (act, state) = ACTS[usize::try_from(random.below(5))?];
        let moment = Duration::from_millis(random.below(LATEST));
        let what = format!("round {round}: {state} after {moment:?}");
        let committing = scene.freezeframe.start_commit(container, IMAGE, &[])?;
        sleep(moment);
        // What cannot be, in the state it is in, leaves it as it is.
        let acted = act(container).is_ok();
        committing.finish()?.succeeded()?;
        let now = container.status()?;
        let state = if acted { Some(state) } else { now.as_deref() };
        scene.expect_state(state, &what)?;
        scene.expect_lawful_image(&what)?;
    }
    Ok(())
}
