//! The lease on a real containerd, with terms so short that its whole life fits into a test.

use std::time::Duration;

use harness::{Daemon, Options, Signal, wait_until};

use super::*;
use crate::containerd::{CLEAN_UP_BOUND, WrittenBlob, client};

const SNAPSHOTTER: &str = "overlayfs";
/// A relay may come some seconds late, on a busy machine.
const QUICK: Terms = Terms {
    lifetime: Duration::from_secs(8),
    relay_period: Duration::from_secs(2),
};
const NEVER_RELAYED: Terms = Terms {
    lifetime: Duration::from_secs(3),
    relay_period: Duration::from_secs(1000),
};
const OFTEN_RELAYED: Terms = Terms {
    lifetime: Duration::from_secs(120),
    relay_period: Duration::from_secs(1),
};
/// A lease that nobody has.
const LOST: &str = "lost";
const MARGIN: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(60);

fn leases(daemon: &Daemon) -> Vec<String> {
    let listed = daemon.ctr().list(&["leases", "ls"]).unwrap();
    let names = listed
        .iter()
        .filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// A snapshot and a blob that only the lease owns.
fn make_things(client: &Containerd) -> WrittenBlob {
    client.prepare_snapshot(SNAPSHOTTER, "held", "").unwrap();
    client.put_blob(b"held", HashMap::new()).unwrap()
}

fn are_there(client: &Containerd, blob: &WrittenBlob) -> [bool; 2] {
    let snapshot = client.snapshot(SNAPSHOTTER, "held").unwrap();
    let blob = client.blob_info(&blob.digest).unwrap();
    [snapshot.is_some(), blob.is_some()]
}

#[test]
fn relays_keep_what_was_made_under_leases_that_have_expired() {
    assert_relays_keep_what_was_made(&Options::default());
}

/// Where what is written is sent, it goes on under another lease than it began with.
#[test]
fn relays_keep_what_was_sent_under_leases_that_have_expired() {
    assert_relays_keep_what_was_made(&Options {
        isolated_content: true,
        ..Options::default()
    });
}

fn assert_relays_keep_what_was_made(options: &Options) {
    let daemon = options.start().unwrap();
    let client = client(&daemon);
    let lease = Lease::acquire_on(&client, QUICK).unwrap();
    let first = client.current_lease().unwrap();
    let blob = make_things(&client);
    let mut writer = client.blob_writer();
    writer.push(&vec![1; 3 << 20]).unwrap();
    std::thread::sleep(QUICK.lifetime);
    wait_until("the end of the first lease", PATIENCE, || {
        Ok((!leases(&daemon).contains(&first)).then_some(()))
    })
    .unwrap();
    daemon.ctr().collect_garbage().unwrap();
    assert_eq!(are_there(&client, &blob), [true, true]);
    let held = leases(&daemon);
    assert!((1..=HELD_AT_ONCE + 1).contains(&held.len()), "{held:?}");
    // Begun under a lease that is no more.
    writer.push(&vec![2; 3 << 20]).unwrap();
    let written = writer.complete(HashMap::new()).unwrap();
    daemon.ctr().collect_garbage().unwrap();
    assert_eq!(are_there(&client, &written), [true, true]);
    drop(lease);
    assert_eq!(leases(&daemon), [""; 0]);
    assert_eq!(are_there(&client, &blob), [false, false]);
    assert_eq!(are_there(&client, &written), [false, false]);
}

#[test]
fn what_a_lease_owns_goes_when_nobody_relays_it_any_more() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let lease = Lease::acquire_on(&client, NEVER_RELAYED).unwrap();
    let blob = make_things(&client);
    let mut writer = client.blob_writer();
    writer.push(&vec![1; 3 << 20]).unwrap();
    daemon.ctr().collect_garbage().unwrap();
    assert_eq!(are_there(&client, &blob), [true, true]);
    // As a SIGKILL leaves it.
    std::mem::forget(lease);
    client.set_lease(None);
    wait_until("the lease's expiry", PATIENCE, || {
        daemon.ctr().collect_garbage()?;
        Ok((leases(&daemon).is_empty()).then_some(()))
    })
    .unwrap();
    assert_eq!(are_there(&client, &blob), [false, false]);
    let ingests = daemon.ctr().list(&["content", "active"]).unwrap();
    assert_eq!(ingests, [""; 0]);
    drop(writer);
}

/// Longer than the end of a commit waits for the collection.
const STANDSTILL: Duration = Duration::from_secs(1);

#[test]
fn a_lease_that_was_released_goes_though_the_collection_is_not_waited_for() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let lease = Lease::acquire(&client).unwrap();
    make_things(&client);
    daemon.signal(Signal::STOP).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(STANDSTILL);
            daemon.signal(Signal::CONT).unwrap();
        });
        lease.release();
    });
    assert_eq!(leases(&daemon), [""; 0]);
}

#[test]
fn a_relay_that_fails_leaves_the_leases_as_they_were() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let held = client.create_lease(QUICK).unwrap();
    let before = leases(&daemon);
    let lost = [held, LOST.to_owned()];
    client.relay(&lost, QUICK).expect_err("a lease of nobody");
    assert_eq!(leases(&daemon), before);
}

/// A relay that came late, after one that had failed.
#[test]
fn a_relay_takes_over_from_the_newest_lease_though_the_one_before_has_expired() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let newest = client.create_lease(OFTEN_RELAYED).unwrap();
    client.set_lease(Some(newest.clone()));
    let blob = make_things(&client);
    let held = [LOST.to_owned(), newest.clone()];
    let next = client.relay(&held, OFTEN_RELAYED).unwrap();
    client.delete_lease(&newest).unwrap();
    assert_eq!(leases(&daemon), [next.as_str()]);
    assert_eq!(are_there(&client, &blob), [true, true]);
}

/// As a call makes it that began before the relay.
#[test]
fn what_is_made_under_the_lease_before_the_newest_is_kept_as_well() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let caretaker = client.for_cleaning_up();
    let first = client.create_lease(OFTEN_RELAYED).unwrap();
    let mut held = vec![first.clone()];
    relay(&client, &caretaker, &mut held, OFTEN_RELAYED);
    assert!(leases(&daemon).contains(&first));
    client.set_lease(Some(first.clone()));
    let blob = make_things(&client);
    relay(&client, &caretaker, &mut held, OFTEN_RELAYED);
    assert!(!leases(&daemon).contains(&first));
    daemon.ctr().collect_garbage().unwrap();
    assert_eq!(are_there(&client, &blob), [true, true]);
}

#[test]
fn after_a_relay_that_failed_the_next_one_works() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let lease = Lease::acquire_on(&client, OFTEN_RELAYED).unwrap();
    let blob = make_things(&client);
    daemon.signal(Signal::STOP).unwrap();
    std::thread::sleep(OFTEN_RELAYED.relay_period + CLEAN_UP_BOUND + MARGIN);
    daemon.signal(Signal::CONT).unwrap();
    let first = client.current_lease();
    wait_until("a relay", PATIENCE, || {
        let current = client.current_lease();
        Ok((current.is_some() && current != first).then_some(()))
    })
    .unwrap();
    daemon.ctr().collect_garbage().unwrap();
    assert_eq!(are_there(&client, &blob), [true, true]);
    drop(lease);
}

#[test]
fn leases_of_dead_commits_go_and_those_of_others_stay() {
    let daemon = Daemon::start().unwrap();
    let client = client(&daemon);
    let create = |label: &str| daemon.ctr().run(&["leases", "create", label]).unwrap();
    let own = ProcessIdentity::of_this_process().unwrap().to_string();
    let (_, home) = own.split_once(':').unwrap();
    let (_, home) = home.split_once(':').unwrap();
    let dead = create(&format!("{PROCESS_LABEL}=1:1:{home}"));
    let alive = create(&format!("{PROCESS_LABEL}={own}"));
    let foreign = create("somebody=else");
    let lease = Lease::acquire_on(&client, QUICK).unwrap();
    let now = leases(&daemon);
    assert!(now.contains(&alive) && now.contains(&foreign), "{now:?}");
    assert!(!now.contains(&dead), "{now:?}");
    drop(lease);
}
