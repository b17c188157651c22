//! containerd cannot write down any more what it holds: its database is on a file system of its own,
//! which is filled to the last page at every stage.

use super::{BOUND, STAGES, Ship};
use crate::FREEZEFRAME;
use harness::{Ctr, Daemon, Filler, Leftovers, Options, Result, Signal};

/// Room for the database, and little more.
const KIB: u64 = 2048;
/// Pages that the database has given back are taken again before it grows.
const MOST_LEASES: usize = 1000;

#[test]
fn records_that_are_full_from_any_stage_on_are_said_and_nothing_is_left() -> Result {
    let daemon = Options {
        records_kib: Some(KIB),
        ..Options::default()
    }
    .start()?;
    let mut ship = Ship::new(&daemon, STAGES[0])?;
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    daemon.ctr().collect_garbage()?;
    let before = Leftovers::now(&ship.container)?;
    let mut failures = 0;
    for stage in STAGES {
        ship.stage = stage;
        let committing = ship.start_and_stop(&freezeframe)?;
        let full = FullRecords::of(&daemon)?;
        committing.signal(Signal::CONT)?;
        let commit = committing.finish_within(BOUND)?;
        ship.expect_running()?;
        full.empty(daemon.ctr())?;
        ship.expect_success_or(&commit, &["no space left"])?;
        failures += usize::from(!commit.outcome.status.success());
        freezeframe
            .commit(&ship.container, &ship.image, &[])?
            .succeeded()?;
        daemon.ctr().run(&["images", "rm", "--sync", &ship.image])?;
        before.assert_unchanged(&Leftovers::now(&ship.container)?);
    }
    assert!(failures >= 3, "only {failures} commits felt it");
    Ok(())
}

/// The file system is full, and so is the database in it.
struct FullRecords {
    leases: Vec<String>,
    filler: Filler,
}

impl FullRecords {
    fn of(daemon: &Daemon) -> Result<Self> {
        let filler = Filler::new(&daemon.records(), 0)?;
        let mut leases = Vec::new();
        // One that takes a page, and then those that take what is left.
        for length in [3000, 10] {
            let label = format!("filler={}", "x".repeat(length));
            while let Some(lease) = create_lease(daemon.ctr(), &label)? {
                leases.push(lease);
                assert!(leases.len() < MOST_LEASES, "the records do not become full");
            }
        }
        Ok(Self { leases, filler })
    }

    fn empty(self, ctr: &Ctr) -> Result {
        drop(self.filler);
        self.leases
            .iter()
            .try_for_each(|lease| ctr.run(&["leases", "delete", lease]).map(drop))
    }
}

/// None where there is no room for it.
fn create_lease(ctr: &Ctr, label: &str) -> Result<Option<String>> {
    let outcome = ctr.outcome(&["leases", "create", label])?;
    if outcome.status.success() {
        return Ok(Some(outcome.text()));
    }
    let said = outcome.error_text();
    assert!(said.contains("no space left"), "{said}");
    Ok(None)
}
