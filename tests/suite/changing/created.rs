//! A task that is created and not started: its first process waits, as Kubernetes has it
//! wait. nerdctl and ctr make none, so containerd is asked itself.

use super::{IMAGE, Scene};
use containerd_client::services::v1::snapshots::{
    MountsRequest, snapshots_client::SnapshotsClient,
};
use containerd_client::services::v1::{CreateTaskRequest, StartRequest, tasks_client::TasksClient};
use containerd_client::with_namespace;
use harness::{Container, Daemon, Result};
use std::future::Future;
use tonic::Request;
use tonic::transport::Channel;

#[test]
fn a_container_that_is_created_and_not_started_stays_created() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, recreate)?;
    let freezeframe = &scene.freezeframe;
    let commit = freezeframe
        .commit(&scene.container, IMAGE, &[])?
        .succeeded()?;
    assert!(commit.frozen_ms() == 0.0, "{:#}", commit.report);
    scene.expect_state(Some("created"), "all stages")?;
    scene.expect_lawful_image("all stages")?;
    scene.expect_nothing_left()
}

#[test]
fn a_created_container_that_is_started_meanwhile_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, recreate)?;
    scene.at_every_stage(start, Some("running"), recreate)
}

/// It has run in between; it did not run before, and does not afterwards.
#[test]
fn a_created_container_that_runs_in_between_is_taken_at_one_moment() -> Result {
    let daemon = Daemon::start()?;
    let scene = Scene::new(&daemon, recreate)?;
    let run = |container: &Container| {
        start(container)?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        container.stop()
    };
    scene.at_every_stage(run, Some("stopped"), recreate)
}

/// Stops it, where it runs, and gives it a new task.
fn recreate(container: &Container) -> Result {
    container.delete_task()?;
    ask(container, async |channel, id, namespace| {
        let mounts = MountsRequest {
            snapshotter: "overlayfs".into(),
            key: id.clone(),
        };
        let mut snapshots = SnapshotsClient::new(channel.clone());
        let mounts = snapshots.mounts(with_namespace!(mounts, namespace)).await?;
        let task = CreateTaskRequest {
            container_id: id,
            rootfs: mounts.into_inner().mounts,
            ..Default::default()
        };
        let mut tasks = TasksClient::new(channel);
        tasks.create(with_namespace!(task, namespace)).await?;
        Ok(())
    })
}

fn start(container: &Container) -> Result {
    ask(container, async |channel, id, namespace| {
        let start = StartRequest {
            container_id: id,
            ..Default::default()
        };
        let mut tasks = TasksClient::new(channel);
        tasks.start(with_namespace!(start, namespace)).await?;
        Ok(())
    })
}

/// Asks containerd something about the container, by its ID and namespace.
fn ask<F: Future<Output = Result>>(
    container: &Container,
    question: impl FnOnce(Channel, String, String) -> F,
) -> Result {
    let ctr = container.daemon().ctr();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let channel = containerd_client::connect(&ctr.address).await?;
        question(channel, container.id.clone(), ctr.namespace.clone()).await
    })
}
