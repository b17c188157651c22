//! What nerdctl would use where nothing is typed: the environment, nerdctl.toml, the defaults, in this order.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::CommitArguments;

const DEFAULT_ADDRESS: &str = "/run/containerd/containerd.sock";
const DEFAULT_NAMESPACE: &str = "default";
const SYSTEM_FILE: &str = "/etc/nerdctl/nerdctl.toml";
const STRATEGY: &str = "FREEZEFRAME_STRATEGY";
const REPORT: &str = "FREEZEFRAME_REPORT";

/// Every key that nerdctl knows (pkg/config/config.go of nerdctl 2.3).
const KNOWN_KEYS: [&str; 22] = [
    "debug",
    "debug_full",
    "address",
    "namespace",
    "snapshotter",
    "cni_path",
    "cni_netconfpath",
    "data_root",
    "cgroup_manager",
    "insecure_registry",
    "hosts_dir",
    "experimental",
    "host_gateway_ip",
    "bridge_ip",
    "kube_hide_dupe",
    "cdi_spec_dirs",
    "userns_remap",
    "dns",
    "dns_opts",
    "dns_search",
    "disable_hc_systemd",
    "selinux_enabled",
];

/// How a commit is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Directly where that applies, else by the real nerdctl.
    Auto,
    Direct,
    Delegate,
}

impl Strategy {
    pub fn from_environment() -> Result<Self> {
        let word = env::var_os(STRATEGY).unwrap_or_default();
        match word.to_str() {
            Some("" | "auto") => Ok(Self::Auto),
            Some("direct") => Ok(Self::Direct),
            Some("delegate") => Ok(Self::Delegate),
            _ => bail!(
                "{STRATEGY} is {:?}, which is none of auto, direct, delegate",
                word.to_string_lossy()
            ),
        }
    }
}

/// Where the report goes, if anywhere; the flag counts more than the environment.
pub fn report_path(typed: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || env::var_os(REPORT).filter(|path| !path.is_empty());
    let typed = typed.map(Path::to_owned);
    typed.or_else(|| from_environment().map(PathBuf::from))
}

/// Whether nerdctl would run in a user's own namespaces, into which it takes itself (pkg/rootlessutil): we stay outside.
pub fn is_rootless() -> bool {
    !nix::unistd::geteuid().is_root() || env::var_os("ROOTLESSKIT_STATE_DIR").is_some()
}

/// The daemon to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// containerd's socket, without `unix://`.
    pub address: PathBuf,
    pub namespace: String,
}

impl Settings {
    /// # Errors
    /// nerdctl.toml cannot be read or has unknown keys; an address or a namespace is not valid.
    pub fn of(arguments: &CommitArguments) -> Result<Self> {
        let file = ConfigurationFile::read()?;
        let setting = |typed: &Option<String>, variable: &str, key: &str, default: &str| {
            if let Some(value) = typed {
                return Ok(value.clone());
            }
            match env::var_os(variable) {
                Some(value) => value.into_string().map_err(|value| {
                    anyhow::anyhow!("{variable} is not text: {}", value.display())
                }),
                None => Ok(file.text(key)?.unwrap_or_else(|| default.to_owned())),
            }
        };
        let address = setting(
            &arguments.address,
            "CONTAINERD_ADDRESS",
            "address",
            DEFAULT_ADDRESS,
        )?;
        let namespace = setting(
            &arguments.namespace,
            "CONTAINERD_NAMESPACE",
            "namespace",
            DEFAULT_NAMESPACE,
        )?;
        ensure!(
            is_identifier(&namespace),
            "namespace {namespace:?} is not valid"
        );
        Ok(Self {
            address: socket_path(&address)?,
            namespace,
        })
    }
}

fn socket_path(address: &str) -> Result<PathBuf> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    ensure!(!path.contains("://"), "invalid address {address:?}");
    Ok(path.into())
}

/// containerd's identifiers (pkg/identifiers): letters and digits, joined by single dots, dashes and underscores.
fn is_identifier(name: &str) -> bool {
    name.len() <= 76
        && name
            .split(['.', '-', '_'])
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// nerdctl.toml, read and checked.
#[derive(Default)]
struct ConfigurationFile {
    path: PathBuf,
    table: toml::Table,
}

impl ConfigurationFile {
    fn read() -> Result<Self> {
        let path = configuration_path();
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            text => text.with_context(|| failure(&path))?,
        };
        let table: toml::Table = text.parse().with_context(|| failure(&path))?;
        for key in table.keys() {
            let key = key.to_lowercase();
            ensure!(
                KNOWN_KEYS.contains(&key.as_str()),
                "{}: unknown key {key:?}",
                failure(&path)
            );
        }
        Ok(Self { path, table })
    }

    /// nerdctl takes keys in any case.
    fn text(&self, key: &str) -> Result<Option<String>> {
        let found = self
            .table
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(key));
        match found {
            None => Ok(None),
            Some((_, toml::Value::String(value))) => Ok(Some(value.clone())),
            Some((name, _)) => bail!("{}: {name} is not a string", failure(&self.path)),
        }
    }
}

fn failure(path: &Path) -> String {
    format!(
        "failed to load nerdctl config (not daemon config) from {:?}",
        path.display().to_string()
    )
}

fn configuration_path() -> PathBuf {
    if let Some(path) = env::var_os("NERDCTL_TOML") {
        return path.into();
    }
    if nix::unistd::geteuid().is_root() {
        return SYSTEM_FILE.into();
    }
    let home = || Some(Path::new(&env::var_os("HOME")?).join(".config"));
    let directory = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(home);
    directory.unwrap_or_default().join("nerdctl/nerdctl.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_carry_its_scheme() {
        assert_eq!(
            socket_path("unix:///run/c.sock").unwrap(),
            PathBuf::from("/run/c.sock")
        );
        assert_eq!(
            socket_path("/run/c.sock").unwrap(),
            PathBuf::from("/run/c.sock")
        );
        assert!(socket_path("tcp://host:1").is_err());
    }

    #[test]
    fn namespaces_are_identifiers() {
        assert!(is_identifier("k8s.io") && is_identifier("a_b-c1"));
        assert!(!is_identifier("") && !is_identifier("a/b") && !is_identifier("a..b"));
    }
}
