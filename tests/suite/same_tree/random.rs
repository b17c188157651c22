//! Random sequences of file operations through the container's own mount: our image and the oracle's are the same.
//!
//! Each sequence has a folder of its own, with the same things of the image in it, so that one pair of commits
//! compares many. One that differs is tried alone, and shrunk to what it takes. A failure prints the seed:
//! `RANDOM_SEED` makes the same sequences again, and `RANDOM_SEQUENCES` says how many.

mod operations;

use super::{ORACLE, OURS};
use crate::FREEZEFRAME;
use harness::{Container, Daemon, Result, Tree, View, commit_by_oracle, image};
use operations::{Operation, furniture, operations, perform};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;
use std::env;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

const IMAGE: &str = "docker.io/library/random:latest";
/// In one pair of commits.
const AT_ONCE: usize = 100;
const ORDINARY: u64 = 200;
const MANY: u64 = 5000;
/// Commits that may be spent on shrinking.
const MOST_SHRINKING: usize = 100;

#[test]
fn random_sequences_of_operations_give_the_differs_tree() -> Result {
    run(
        number("RANDOM_SEQUENCES")?.unwrap_or(ORDINARY),
        number("RANDOM_SEED")?.unwrap_or(1),
    )
}

/// Others in every run.
#[test]
#[ignore = "takes minutes: tests/long"]
fn thousands_of_random_sequences_of_operations_give_the_differs_tree() -> Result {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    run(
        number("RANDOM_SEQUENCES")?.unwrap_or(MANY),
        number("RANDOM_SEED")?.unwrap_or(now),
    )
}

fn number(variable: &str) -> Result<Option<u64>> {
    Ok(env::var(variable)
        .ok()
        .map(|text| text.parse())
        .transpose()?)
}

fn run(count: u64, seed: u64) -> Result {
    let daemon = Daemon::start()?;
    let folders = (0..AT_ONCE).flat_map(|index| furniture(&folder(index)));
    let entries = std::iter::once(image::Entry::directory("random")).chain(folders);
    image::base()
        .clone()
        .layer(entries.collect())
        .import(&daemon, IMAGE)?;
    let bytes = [seed.to_le_bytes(); 4].concat();
    let generator = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), generator);
    let mut done = 0;
    while done < count {
        let make = |_| {
            operations()
                .new_tree(&mut runner)
                .expect("no sequence is rejected")
        };
        let mut sequences: Vec<_> = (done..count).take(AT_ONCE).map(make).collect();
        let current: Vec<_> = sequences.iter().map(ValueTree::current).collect();
        let differences = compare(&daemon, &current)?;
        if let Some(index) = differences.first_different() {
            let (smallest, text) = shrink(&daemon, &mut sequences[index], differences.text)?;
            panic!("RANDOM_SEED={seed}: after {smallest:#?}\n{text}");
        }
        done += current.len() as u64;
    }
    println!("{done} sequences of seed {seed} without a difference");
    Ok(())
}

fn folder(index: usize) -> String {
    format!("random/{index:03}")
}

/// What two images have differently, in words and by the folders concerned.
struct Differences {
    folders: BTreeSet<usize>,
    text: String,
}

impl Differences {
    fn first_different(&self) -> Option<usize> {
        assert!(
            !self.folders.is_empty() || self.text.is_empty(),
            "{}",
            self.text
        );
        self.folders.first().copied()
    }
}

/// Performs each sequence in its folder, commits all, and compares.
fn compare(daemon: &Daemon, sequences: &[Vec<Operation>]) -> Result<Differences> {
    let container = Container::run(daemon, IMAGE, &["sleep", "1000"])?;
    let root = container.root()?;
    for (index, sequence) in sequences.iter().enumerate() {
        for operation in sequence {
            perform(operation, &root.join(folder(index)));
        }
    }
    let freezeframe = daemon.freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(&container, OURS, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct");
    commit_by_oracle(&container, ORACLE)?;
    container.remove()?;
    let oracle = View::snapshot(daemon, ORACLE)?.tree()?;
    let ours = [
        View::snapshot(daemon, OURS)?.tree()?,
        View::unpacked(daemon, OURS)?.tree()?,
    ];
    let text: String = ours.iter().map(|tree| tree.differences(&oracle)).collect();
    let folders = ours
        .iter()
        .flat_map(|tree| different(tree, &oracle))
        .collect();
    Ok(Differences { folders, text })
}

/// The folders with a path that the trees have differently.
fn different(one: &Tree, other: &Tree) -> Vec<usize> {
    let paths = one.entries.keys().chain(other.entries.keys());
    let paths = paths.filter(|path| one.entries.get(*path) != other.entries.get(*path));
    let number = |path| Path::new(path).iter().nth(1)?.to_str()?.parse().ok();
    paths.filter_map(number).collect()
}

/// The smallest sequence found that alone makes a difference, and which.
fn shrink(
    daemon: &Daemon,
    sequence: &mut impl ValueTree<Value = Vec<Operation>>,
    first: String,
) -> Result<(Vec<Operation>, String)> {
    let mut smallest = (sequence.current(), first);
    let mut goes_on = true;
    for _ in 0..MOST_SHRINKING {
        if !goes_on {
            break;
        }
        let current = sequence.current();
        let text = compare(daemon, std::slice::from_ref(&current))?.text;
        goes_on = if text.is_empty() {
            sequence.complicate()
        } else {
            smallest = (current, text);
            sequence.simplify()
        };
    }
    Ok(smallest)
}
