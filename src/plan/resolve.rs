//! From a name on the command line to a container's ID.

use std::ffi::OsString;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::arguments::CommitArguments;
use crate::containerd::Containerd;
use crate::passthrough::RealNerdctl;

/// Asks the real nerdctl, whose rules for names these are, or containerd itself where there is none.
pub fn container_id(
    containerd: &Containerd,
    real: Option<&RealNerdctl>,
    arguments: &CommitArguments,
) -> Result<String> {
    let name = &arguments.container;
    let mut ids = match real {
        Some(real) => inspect(real, arguments)?,
        None => search(containerd, name)?,
    };
    ids.sort();
    ids.dedup();
    match ids.as_slice() {
        [id] => Ok(id.clone()),
        [] => bail!(no_such_container(name)),
        _ => bail!("multiple IDs found with provided prefix: {name}"),
    }
}

pub fn no_such_container(name: &str) -> String {
    format!("no such container {name}")
}

fn inspect(real: &RealNerdctl, arguments: &CommitArguments) -> Result<Vec<String>> {
    let name = &arguments.container;
    let mut words = arguments.globals.clone();
    words.extend(["container", "inspect", "--mode=native", "--", name].map(OsString::from));
    let mut command = duct::cmd(real.path(), words);
    if let Some((name, value)) = real.guard() {
        command = command.env(name, value);
    }
    let output = command
        .stdin_null()
        .stdout_capture()
        .stderr_capture()
        .unchecked()
        .run()
        .with_context(|| format!("running {}", real.path().display()))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr);
        if message.contains("no such container") {
            return Ok(Vec::new());
        }
        bail!(
            "{} container inspect {name}: {}",
            real.path().display(),
            message.trim()
        );
    }
    let found: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("reading what `nerdctl container inspect {name}` printed"))?;
    let ids = found.as_array().into_iter().flatten();
    Ok(ids
        .filter_map(|one| Some(one.get("ID")?.as_str()?.to_owned()))
        .collect())
}

/// nerdctl's rule: the name in its label, or the beginning of an ID; a whole ID is never ambiguous.
fn search(containerd: &Containerd, name: &str) -> Result<Vec<String>> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || !name.bytes().all(is_plain) {
        return Ok(Vec::new());
    }
    if let Some(container) = containerd.container(name)? {
        return Ok(vec![container.id]);
    }
    let filters = vec![
        format!("labels.\"nerdctl/name\"==\"{name}\""),
        format!("id~=\"^{}\"", name.replace('.', "\\\\.")),
    ];
    let found = containerd.containers_matching(filters)?;
    Ok(found.into_iter().map(|container| container.id).collect())
}
