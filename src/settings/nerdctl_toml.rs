//! nerdctl.toml: read, and checked as strictly as nerdctl does (pkg/config/config.go of nerdctl 2.3, and its TOML library,
//! github.com/pelletier/go-toml).

use std::collections::BTreeSet;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail, ensure};
use toml::Value;

use crate::system::text::{lowercase_reason, quoted};

const SYSTEM_FILE: &str = "/etc/nerdctl/nerdctl.toml";

/// What a key holds, as Go calls it.
const TEXT: &str = "string";
const BOOLEAN: &str = "bool";
const LIST: &str = "[]string";

/// Every key that nerdctl knows: its name, the field that it fills, and what that holds.
const KEYS: [(&str, &str, &str); 22] = [
    ("debug", "Debug", BOOLEAN),
    ("debug_full", "DebugFull", BOOLEAN),
    ("address", "Address", TEXT),
    ("namespace", "Namespace", TEXT),
    ("snapshotter", "Snapshotter", TEXT),
    ("cni_path", "CNIPath", TEXT),
    ("cni_netconfpath", "CNINetConfPath", TEXT),
    ("data_root", "DataRoot", TEXT),
    ("cgroup_manager", "CgroupManager", TEXT),
    ("insecure_registry", "InsecureRegistry", BOOLEAN),
    ("hosts_dir", "HostsDir", LIST),
    ("experimental", "Experimental", BOOLEAN),
    ("host_gateway_ip", "HostGatewayIP", TEXT),
    ("bridge_ip", "BridgeIP", TEXT),
    ("kube_hide_dupe", "KubeHideDupe", BOOLEAN),
    ("cdi_spec_dirs", "CDISpecDirs", LIST),
    ("userns_remap", "UsernsRemap", TEXT),
    ("dns", "DNS", LIST),
    ("dns_opts", "DNSOpts", LIST),
    ("dns_search", "DNSSearch", LIST),
    ("disable_hc_systemd", "DisableHCSystemd", BOOLEAN),
    ("selinux_enabled", "SelinuxEnabled", BOOLEAN),
];

/// The file's keys; none where there is no file.
#[derive(Default)]
pub struct ConfigurationFile {
    path: PathBuf,
    table: toml::Table,
}

impl ConfigurationFile {
    /// Reads `$NERDCTL_TOML`, else the system's file: for root, as everybody else's commit is the real nerdctl's.
    pub fn read() -> Result<Self> {
        let path = env::var_os("NERDCTL_TOML").map_or(SYSTEM_FILE.into(), PathBuf::from);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            file => file.map_err(|error| {
                anyhow!("open {}: {}", path.display(), lowercase_reason(&error))
            })?,
        };
        let mut text = String::new();
        file.read_to_string(&mut text).map_err(|error| {
            let reason = lowercase_reason(&error);
            anyhow!(
                "{}: toml: read {}: {reason}",
                failure(&path),
                path.display()
            )
        })?;
        Self::parse(path, &text)
    }

    /// Reads the `text` of the file at `path`.
    pub fn parse(path: PathBuf, text: &str) -> Result<Self> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            anyhow!("{}: toml: {}", failure(&path), error.message())
        })?;
        let file = Self { path, table };
        file.check_names()?;
        Ok(file)
    }

    /// nerdctl takes the last of two keys that differ in case alone; their order is not known here.
    fn check_names(&self) -> Result<()> {
        let names: BTreeSet<String> = self.table.keys().map(|key| key.to_lowercase()).collect();
        ensure!(
            names.len() == self.table.len(),
            "{}: a key stands there twice, in other letters",
            failure(&self.path)
        );
        Ok(())
    }

    /// # Errors
    /// A key that nerdctl does not know, or one that holds another kind of value.
    pub fn check(&self) -> Result<()> {
        for (name, value) in &self.table {
            let known = KEYS.iter().find(|(key, ..)| name.eq_ignore_ascii_case(key));
            let Some((_, field, kind)) = known else {
                bail!(
                    "{}: strict mode: fields in the document are missing in the target struct",
                    failure(&self.path)
                );
            };
            self.check_kind(value, field, kind)?;
        }
        Ok(())
    }

    fn check_kind(&self, value: &Value, field: &str, kind: &str) -> Result<()> {
        if let (Value::Array(elements), LIST) = (value, kind) {
            return elements
                .iter()
                .try_for_each(|element| self.check_kind(element, field, TEXT));
        }
        let fits = matches!(
            (value, kind),
            (Value::String(_), TEXT) | (Value::Boolean(_), BOOLEAN)
        );
        ensure!(
            fits,
            "{}: toml: cannot decode TOML {} into struct field config.Config.{field} of type {kind}",
            failure(&self.path),
            value.type_str()
        );
        Ok(())
    }

    /// What stands under `key`, whose case does not matter, and how it is written there.
    fn entry(&self, key: &str) -> Option<(&String, &Value)> {
        let mut all = self.table.iter();
        all.find(|(name, _)| name.eq_ignore_ascii_case(key))
    }

    pub fn is_set(&self, key: &str) -> bool {
        matches!(self.entry(key), Some((_, Value::Boolean(true))))
    }

    pub fn text(&self, key: &str) -> Result<Option<String>> {
        match self.entry(key) {
            None => Ok(None),
            Some((_, Value::String(value))) => Ok(Some(value.clone())),
            Some((name, _)) => bail!("{}: {name} is not a string", failure(&self.path)),
        }
    }

    /// The environment's `variable`, else what the file has under `key`, else `default`.
    pub fn or_environment(&self, key: &str, variable: &str, default: &str) -> Result<String> {
        match env::var_os(variable) {
            Some(value) => value
                .into_string()
                .map_err(|value| anyhow!("{variable} is not text: {}", value.display())),
            None => Ok(self.text(key)?.unwrap_or_else(|| default.to_owned())),
        }
    }
}

fn failure(path: &Path) -> String {
    format!(
        "failed to load nerdctl config (not daemon config) from {} (Hint: don't mix up daemon's `config.toml` with \
         `nerdctl.toml`)",
        quoted(&path.display().to_string())
    )
}
