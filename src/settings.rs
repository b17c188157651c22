//! What nerdctl would use where nothing is typed: the environment, nerdctl.toml, the defaults, in this order; and what
//! freezeframe's own variables say.

pub mod nerdctl_toml;
mod reserve;

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::arguments::{CommitArguments, duration};
use crate::system::privileges::is_in_user_namespace;
use crate::system::text::quoted;
use nerdctl_toml::ConfigurationFile;

pub use reserve::Reserve;

pub const DEFAULT_ADDRESS: &str = "/run/containerd/containerd.sock";
pub const DEFAULT_NAMESPACE: &str = "default";
const LONGEST_PATH_COMPONENT: usize = 255;
const LONGEST_IDENTIFIER: usize = 76;
const STRATEGY: &str = "FREEZEFRAME_STRATEGY";
const REPORT: &str = "FREEZEFRAME_REPORT";
const MAX_PAUSE: &str = "FREEZEFRAME_MAX_PAUSE";

/// How a commit is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Directly where that applies, else by the real nerdctl.
    Auto,
    Direct,
    Delegate,
    /// By the real nerdctl, and directly where that loses the race against the container.
    Fallback,
}

impl Strategy {
    pub fn from_environment() -> Result<Self> {
        let word = env::var_os(STRATEGY).unwrap_or_default();
        match word.to_str() {
            Some("" | "auto") => Ok(Self::Auto),
            Some("direct") => Ok(Self::Direct),
            Some("delegate") => Ok(Self::Delegate),
            Some("fallback") => Ok(Self::Fallback),
            _ => bail!(
                "{STRATEGY} is {}, which is none of auto, direct, delegate, fallback",
                quoted(&word.to_string_lossy())
            ),
        }
    }
}

/// Where the report goes, if anywhere; the flag counts more than the environment, and nothing where it is empty.
pub fn report_path(typed: Option<&Path>) -> Option<PathBuf> {
    let from_environment = || env::var_os(REPORT).map(PathBuf::from);
    let path = typed.map(Path::to_owned).or_else(from_environment);
    path.filter(|path| !path.as_os_str().is_empty())
}

/// How long a container may be frozen, if anybody says; the flag counts more than the environment.
pub fn max_pause(typed: Option<Duration>) -> Result<Option<Duration>> {
    let word = env::var_os(MAX_PAUSE).unwrap_or_default();
    if typed.is_some() || word.is_empty() {
        return Ok(typed);
    }
    let parsed = word.to_str().and_then(duration::positive);
    let shown = quoted(&word.to_string_lossy());
    let describe = || format!("{MAX_PAUSE} is {shown}, which is no time such as 200ms or 2s");
    parsed.map(Some).with_context(describe)
}

/// Why such a commit is delegated.
pub const ROOTLESS: &str = "called by another user than root";

/// Whether nerdctl would run in a user's own namespaces, into which it takes itself (pkg/rootlessutil): we stay outside.
pub fn is_rootless() -> bool {
    let is_child = env::var_os("ROOTLESSKIT_STATE_DIR").is_some_and(|path| !path.is_empty());
    !nix::unistd::geteuid().is_root() || (is_child && is_in_user_namespace())
}

/// nerdctl.toml, the environment or a global flag says what cannot be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Misconfigured(String);

/// The daemon to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// containerd's socket, without `unix://`.
    pub address: PathBuf,
    pub namespace: String,
    /// Whether the file asks for what `--debug` asks for.
    pub debug: bool,
}

impl Settings {
    /// With `is_checked_elsewhere`, keys that only the real nerdctl may know are left to it.
    ///
    /// # Errors
    /// nerdctl.toml cannot be read or is wrong; an address, a namespace or a cgroup manager is not valid. In nerdctl's words.
    pub fn of(
        arguments: &CommitArguments,
        is_checked_elsewhere: bool,
    ) -> Result<Self, Misconfigured> {
        Self::read(arguments, is_checked_elsewhere)
            .map_err(|error| Misconfigured(format!("{error:#}")))
    }

    fn read(arguments: &CommitArguments, is_checked_elsewhere: bool) -> Result<Self> {
        let file = ConfigurationFile::read()?;
        if !is_checked_elsewhere {
            file.check()?;
        }
        let address = match &arguments.address {
            Some(address) => address.clone(),
            None => file.or_environment("address", "CONTAINERD_ADDRESS", DEFAULT_ADDRESS)?,
        };
        let namespace = match &arguments.namespace {
            Some(namespace) => namespace.clone(),
            None => file.or_environment("namespace", "CONTAINERD_NAMESPACE", DEFAULT_NAMESPACE)?,
        };
        let address = socket_path(&address)?;
        if let Some(manager) = arguments
            .cgroup_manager
            .clone()
            .or(file.text("cgroup_manager")?)
        {
            check_cgroup_manager(&manager)?;
        }
        check_namespace(&namespace)?;
        Ok(Self {
            address,
            namespace,
            debug: file.is_set("debug") || file.is_set("debug_full"),
        })
    }
}

pub fn socket_path(address: &str) -> Result<PathBuf> {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    ensure!(!path.contains("://"), "invalid address {}", quoted(address));
    Ok(path.into())
}

fn check_cgroup_manager(name: &str) -> Result<()> {
    ensure!(
        matches!(name, "systemd" | "cgroupfs" | "none"),
        "invalid cgroup-manager {} (supported values: \"systemd\", \"cgroupfs\", \"none\")",
        quoted(name)
    );
    Ok(())
}

/// A namespace is a directory's name to nerdctl (pkg/internal/filesystem), and an identifier to containerd
/// (pkg/identifiers): letters and digits, joined by single dots, dashes and underscores.
pub fn check_namespace(name: &str) -> Result<()> {
    let path_problem = if name.len() > LONGEST_PATH_COMPONENT {
        Some("path component must be shorter than 256 characters".to_owned())
    } else if name.trim().is_empty() {
        Some("path component cannot be empty".to_owned())
    } else if name.contains(['/', '\0']) {
        let name = quoted(name);
        Some(format!(
            "forbidden characters in path component: {name} (\"[\\\\x{{0}}/]\")"
        ))
    } else if matches!(name, "." | "..") {
        let name = quoted(name);
        Some(format!(
            "forbidden keywords in path component: {name} (\"^([.]|[.][.])$\")"
        ))
    } else {
        None
    };
    if let Some(problem) = path_problem {
        bail!("invalid argument\ninvalid path\n{problem}");
    }
    let identifier = format!("namespace validation: identifier {}", quoted(name));
    ensure!(
        name.len() <= LONGEST_IDENTIFIER,
        "{identifier} greater than maximum length ({LONGEST_IDENTIFIER} characters): invalid argument"
    );
    ensure!(
        is_identifier(name),
        "{identifier} must match ^[A-Za-z0-9]+(?:[._-](?:[A-Za-z0-9]+))*$: invalid argument"
    );
    Ok(())
}

fn is_identifier(name: &str) -> bool {
    name.split(['.', '-', '_'])
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
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
        for good in ["k8s.io", "a_b-c1", "default"] {
            assert!(check_namespace(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            " ",
            "a/b",
            "a..b",
            "..",
            "_a",
            "a b",
            "é",
            &"a".repeat(77),
        ] {
            assert!(check_namespace(bad).is_err(), "{bad}");
        }
    }
}
