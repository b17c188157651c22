//! The messages of the CRI that `Pods` sends and reads, with the fields that it uses.
//!
//! Numbers and types are those of `runtime.v1` (kubernetes/cri-api, `api.proto`); what a
//! message has besides keeps its default.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// `PodSandboxMetadata`
#[derive(Clone, PartialEq, Message)]
pub struct Metadata {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub uid: String,
    #[prost(string, tag = "3")]
    pub namespace: String,
}

/// `NamespaceOption`
#[derive(Clone, PartialEq, Message)]
pub struct NamespaceOptions {
    #[prost(int32, tag = "1")]
    pub network: i32,
    #[prost(int32, tag = "2")]
    pub pid: i32,
    #[prost(int32, tag = "3")]
    pub ipc: i32,
}

/// `LinuxSandboxSecurityContext`
#[derive(Clone, PartialEq, Message)]
pub struct PodSecurity {
    #[prost(message, optional, tag = "1")]
    pub namespaces: Option<NamespaceOptions>,
}

/// `LinuxPodSandboxConfig`
#[derive(Clone, PartialEq, Message)]
pub struct PodLinux {
    #[prost(string, tag = "1")]
    pub cgroup_parent: String,
    #[prost(message, optional, tag = "2")]
    pub security: Option<PodSecurity>,
}

/// `PodSandboxConfig`
#[derive(Clone, PartialEq, Message)]
pub struct PodConfig {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<Metadata>,
    #[prost(message, optional, tag = "8")]
    pub linux: Option<PodLinux>,
}

/// `RunPodSandboxRequest`
#[derive(Clone, PartialEq, Message)]
pub struct RunPod {
    #[prost(message, optional, tag = "1")]
    pub config: Option<PodConfig>,
}

/// `RunPodSandboxResponse`
#[derive(Clone, PartialEq, Message)]
pub struct PodId {
    #[prost(string, tag = "1")]
    pub id: String,
}

/// `ImageSpec`
#[derive(Clone, PartialEq, Message)]
pub struct ImageName {
    #[prost(string, tag = "1")]
    pub image: String,
}

impl ImageName {
    pub fn of(reference: &str) -> Self {
        let image = reference.to_owned();
        Self { image }
    }
}

/// `ImageStatusRequest`
#[derive(Clone, PartialEq, Message)]
pub struct ImageStatus {
    #[prost(message, optional, tag = "1")]
    pub image: Option<ImageName>,
}

/// `ImageStatusResponse`; none of the image's own fields matters.
#[derive(Clone, PartialEq, Message)]
pub struct ImageStatusAnswer {
    #[prost(message, optional, tag = "1")]
    pub image: Option<Empty>,
}

/// `ContainerMetadata`
#[derive(Clone, PartialEq, Message)]
pub struct Name {
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `ContainerConfig`
#[derive(Clone, PartialEq, Message)]
pub struct ContainerConfig {
    #[prost(message, optional, tag = "1")]
    pub metadata: Option<Name>,
    #[prost(message, optional, tag = "2")]
    pub image: Option<ImageName>,
    #[prost(string, repeated, tag = "3")]
    pub command: Vec<String>,
}

/// `CreateContainerRequest`
#[derive(Clone, PartialEq, Message)]
pub struct CreateContainer {
    #[prost(string, tag = "1")]
    pub pod_id: String,
    #[prost(message, optional, tag = "2")]
    pub config: Option<ContainerConfig>,
    #[prost(message, optional, tag = "3")]
    pub pod_config: Option<PodConfig>,
}

/// `CreateContainerResponse`, and `StartContainerRequest`
#[derive(Clone, PartialEq, Message)]
pub struct ContainerId {
    #[prost(string, tag = "1")]
    pub id: String,
}
