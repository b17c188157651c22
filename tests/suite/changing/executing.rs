//! Programs are started in it in the middle: they run, unless it is frozen just then.

use super::{IMAGE, Scene, nothing};
use harness::{Container, Daemon, Result, View};

const WORK: &str = "echo made >/srv/made-$$; mv /srv/made-$$ /srv/moved; cat /srv/moved";

/// Whether it ran; a container that is frozen takes none, as a paused one. By the time that is said it may run again.
fn execute(container: &Container) -> Result<bool> {
    let outcome = container.exec(&["sh", "-ec", WORK])?;
    if outcome.status.success() {
        assert_eq!(outcome.text(), "made");
        return Ok(true);
    }
    let said = outcome.error_text();
    assert!(said.contains("paused"), "{said}");
    Ok(false)
}

#[test]
fn programs_that_are_started_in_it_meanwhile_run() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    let start = |container: &Container| execute(container).map(drop);
    scene.at_every_stage(start, Some("running"), |container| {
        assert!(execute(container)?, "it runs, but takes no program");
        Ok(())
    })
}

/// One that was started before the freeze, and ends after it, is frozen as all others are.
#[test]
fn programs_that_come_and_go_all_the_time_are_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, nothing)?;
    for round in 0..5 {
        let committing = scene
            .freezeframe
            .start_commit(&scene.container, IMAGE, &[])?;
        while !execute(&scene.container)? {}
        committing.finish()?.succeeded()?;
        scene.expect_lawful_image(&format!("round {round}"))?;
    }
    let moved = View::snapshot(&daemon, IMAGE)?.read("/srv/moved")?;
    assert_eq!(moved, "made\n");
    scene.expect_nothing_left()
}
