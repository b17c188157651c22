//! Pods of a daemon that serves the CRI, made as a kubelet makes them.
//!
//! They live in the namespace `k8s.io`, which is the CRI's for good, and use the host's
//! network, for want of a CNI. Their cgroups lie below the daemon's own, and runc's
//! state in its folder (`daemon/cri.toml`), so they go as all else of the daemon goes.

mod messages;

use crate::ctr::Ctr;
use crate::image::{self, BASE};
use crate::shell::wait_until;
use crate::{Daemon, Result};
use anyhow::Context;
use messages::{
    ContainerConfig, ContainerId, CreateContainer, Empty, ImageName, ImageStatus,
    ImageStatusAnswer, Metadata, Name, NamespaceOptions, PodConfig, PodId, PodLinux, PodSecurity,
    RunPod,
};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

/// The image of the first container of every pod, which holds its namespaces.
pub(crate) const SANDBOX_IMAGE: &str = "docker.io/library/pause:latest";

const PATIENCE: Duration = Duration::from_secs(10);
/// `NamespaceMode` of the CRI: the node's own.
const NODE: i32 = 2;

pub struct Pods<'d> {
    daemon: &'d Daemon,
    ctr: Ctr,
    runtime: Runtime,
    channel: Channel,
}

/// A pod that runs; `id` is its sandbox container's.
pub struct Pod<'p> {
    pub id: String,
    config: PodConfig,
    pods: &'p Pods<'p>,
}

impl<'d> Pods<'d> {
    /// Those of a daemon with the option `cri`, which has the image `BASE` for them.
    pub fn of(daemon: &'d Daemon) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let address = daemon.ctr().address.clone();
        let channel = runtime
            .block_on(containerd_client::connect(&address))
            .context("connecting to the CRI")?;
        let namespace = "k8s.io".to_owned();
        let pods = Self {
            daemon,
            ctr: Ctr { address, namespace },
            runtime,
            channel,
        };
        let pause = image::base().clone().command(&["sleep", "1000000"]);
        pause.archive(SANDBOX_IMAGE)?.import(&pods.ctr)?;
        image::base().archive(BASE)?.import(&pods.ctr)?;
        pods.wait_for_image(SANDBOX_IMAGE)?;
        pods.wait_for_image(BASE)?;
        Ok(pods)
    }

    /// `ctr` in the namespace of pods.
    pub fn ctr(&self) -> &Ctr {
        &self.ctr
    }

    /// A pod with nothing in it but its sandbox.
    pub fn start(&self) -> Result<Pod<'_>> {
        let name = self.daemon.unique("pod");
        let namespaces = NamespaceOptions {
            network: NODE,
            ..NamespaceOptions::default()
        };
        let config = PodConfig {
            metadata: Some(Metadata {
                name: name.clone(),
                uid: name.clone(),
                namespace: "default".to_owned(),
            }),
            linux: Some(PodLinux {
                cgroup_parent: format!("/{}", self.daemon.ctr().namespace),
                security: Some(PodSecurity {
                    namespaces: Some(namespaces),
                }),
            }),
        };
        let request = RunPod {
            config: Some(config.clone()),
        };
        let PodId { id } = self.call("RuntimeService/RunPodSandbox", request)?;
        Ok(Pod {
            id,
            config,
            pods: self,
        })
    }

    /// The CRI hears of images that others bring only a little later.
    pub fn wait_for_image(&self, reference: &str) -> Result {
        wait_until("the CRI knowing an image", PATIENCE, || {
            let request = ImageStatus {
                image: Some(ImageName::of(reference)),
            };
            let answer = self.call("ImageService/ImageStatus", request);
            Ok(answer.ok().and_then(|ImageStatusAnswer { image }| image))
        })
        .map(drop)
    }

    /// The first process of a container, as the host numbers it.
    pub fn pid(&self, id: &str) -> Result<u32> {
        let task = self.ctr.task(id)?;
        Ok(task.with_context(|| format!("{id} has no task"))?.0)
    }

    fn call<Q, A>(&self, method: &str, request: Q) -> Result<A>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        let path: PathAndQuery = format!("/runtime.v1.{method}").parse()?;
        let answer = self.runtime.block_on(async {
            let mut client = Grpc::new(self.channel.clone());
            client
                .ready()
                .await
                .map_err(|error| tonic::Status::unknown(error.to_string()))?;
            let codec = ProstCodec::default();
            client.unary(Request::new(request), path, codec).await
        });
        Ok(answer.with_context(|| method.to_owned())?.into_inner())
    }
}

impl Pod<'_> {
    /// A running container of `image` in the pod; returns its ID.
    pub fn run(&self, image: &str, words: &[&str]) -> Result<String> {
        self.pods.wait_for_image(image)?;
        let config = ContainerConfig {
            metadata: Some(Name {
                name: self.pods.daemon.unique("container"),
            }),
            image: Some(ImageName::of(image)),
            command: words.iter().map(ToString::to_string).collect(),
        };
        let request = CreateContainer {
            pod_id: self.id.clone(),
            config: Some(config),
            pod_config: Some(self.config.clone()),
        };
        let created: ContainerId = self.pods.call("RuntimeService/CreateContainer", request)?;
        let id = created.id.clone();
        let Empty {} = self.pods.call("RuntimeService/StartContainer", created)?;
        Ok(id)
    }

    /// Waits until a path exists in the container `id`, as a sign that it is under way.
    pub fn wait_for(&self, id: &str, path: &str) -> Result {
        let root = format!("/proc/{}/root", self.pods.pid(id)?);
        let seen = Path::new(&root).join(path.trim_start_matches('/'));
        wait_until(path, PATIENCE, || Ok(seen.exists().then_some(())))
    }
}
