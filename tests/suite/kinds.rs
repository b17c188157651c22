//! Every kind of container is committed, by whomever it was made, whatever is mounted in
//! it, and whatever it shares with its host.

mod cgroups;
mod hosts;
mod inside;
mod mounts;
mod pods;

use crate::FREEZEFRAME;
use harness::{Commit, Container, Result, View, commit_by_oracle};

const IMAGE: &str = "docker.io/library/image:latest";
const THEIRS: &str = "docker.io/library/theirs:latest";

/// A direct commit with nothing to warn of.
fn commit(container: &Container) -> Result<Commit> {
    let freezeframe = container.daemon().freezeframe(FREEZEFRAME)?;
    let commit = freezeframe.commit(container, IMAGE, &[])?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct", "{:#}", commit.report);
    assert_eq!(commit.outcome.error_text(), "");
    Ok(commit)
}

/// Whether the image has the tree that containerd's own differ gives it.
fn assert_is_theirs(container: &Container) -> Result {
    let daemon = container.daemon();
    commit_by_oracle(container, THEIRS)?;
    let ours = View::snapshot(daemon, IMAGE)?.tree()?;
    ours.assert_same(&View::snapshot(daemon, THEIRS)?.tree()?, "the differ's");
    Ok(())
}
