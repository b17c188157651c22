//! Containers of Kubernetes: made through the CRI, in its namespace, with no label of
//! nerdctl's, on machines that may have no nerdctl.

use crate::FREEZEFRAME;
use harness::{BASE, Commit, Daemon, Freezeframe, Options, Pods, Result, View, check_law};
use std::fs;

const IMAGE: &str = "docker.io/library/of-a-pod:latest";

fn daemon() -> Result<Daemon> {
    let options = Options {
        cri: true,
        ..Options::default()
    };
    options.start()
}

/// Where there is a nerdctl, and where there is none.
fn both(daemon: &Daemon) -> Result<[Freezeframe<'_>; 2]> {
    let without = daemon.freezeframe(FREEZEFRAME)?;
    let without = without
        .with("FREEZEFRAME_NERDCTL", "")
        .with("PATH", daemon.new_folder("empty")?);
    Ok([daemon.freezeframe(FREEZEFRAME)?, without])
}

fn commit(freezeframe: &Freezeframe, word: &str) -> Result<Commit> {
    let commit = freezeframe.start_commit_of(word, IMAGE, &["--namespace", "k8s.io"])?;
    let commit = commit.finish()?.succeeded()?;
    assert_eq!(commit.report["strategy"], "direct", "{:#}", commit.report);
    assert_eq!(commit.outcome.error_text(), "");
    Ok(commit)
}

/// The image in the daemon's own namespace, where trees can be looked at.
fn bring_over(pods: &Pods, daemon: &Daemon) -> Result<View> {
    let archive = daemon.disk().join(daemon.unique("archive"));
    let file = archive.display().to_string();
    pods.ctr().run(&["images", "export", &file, IMAGE])?;
    // What ctr finds unpacked it does not hold: collected as the image before's, it would be gone.
    daemon.ctr().run(&["images", "rm", "--sync", IMAGE])?;
    daemon.ctr().run(&["images", "import", &file])?;
    View::snapshot(daemon, IMAGE)
}

#[test]
fn a_container_of_a_pod_is_committed_by_its_id_and_the_beginning_of_that() -> Result {
    let daemon = daemon()?;
    let pods = Pods::of(&daemon)?;
    let pod = pods.start()?;
    let id = pod.run(BASE, &["probe", "write-law", "/law"])?;
    pod.wait_for(&id, "/law/ready")?;
    for freezeframe in both(&daemon)? {
        for word in [&id[..], &id[..12]] {
            let commit = commit(&freezeframe, word)?;
            assert_eq!(commit.report["container_id"], id);
            assert!(commit.frozen_ms() > 0.0, "{:#}", commit.report);
            let image = bring_over(&pods, &daemon)?;
            check_law(&daemon, &image.path().join("law"))?;
        }
    }
    let running = Some("running".to_owned());
    for id in [&id, &pod.id] {
        assert_eq!(pods.ctr().task(id)?.map(|(_, status)| status), running);
    }
    Ok(())
}

#[test]
fn the_image_of_a_container_of_a_pod_runs_in_a_pod() -> Result {
    let daemon = daemon()?;
    let pods = Pods::of(&daemon)?;
    let pod = pods.start()?;
    let script = "echo changed >/srv/plain; touch /srv/done; exec sleep 1000";
    let id = pod.run(BASE, &["sh", "-c", script])?;
    pod.wait_for(&id, "/srv/done")?;
    let [freezeframe, _] = both(&daemon)?;
    commit(&freezeframe, &id)?;
    let copy = pods.start()?.run(IMAGE, &["sleep", "1000"])?;
    let root = format!("/proc/{}/root", pods.pid(&copy)?);
    assert_eq!(
        fs::read_to_string(format!("{root}/srv/plain"))?,
        "changed\n"
    );
    Ok(())
}

#[test]
fn the_sandbox_of_a_pod_is_committed_as_well() -> Result {
    let daemon = daemon()?;
    let pods = Pods::of(&daemon)?;
    let pod = pods.start()?;
    for freezeframe in both(&daemon)? {
        commit(&freezeframe, &pod.id)?;
        let plain = bring_over(&pods, &daemon)?.read("/srv/plain")?;
        assert_eq!(plain, "plain\n");
    }
    let config = pods.ctr().config(IMAGE)?;
    assert_eq!(config["config"]["Cmd"][0], "sleep");
    Ok(())
}
