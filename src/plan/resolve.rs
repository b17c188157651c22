//! From a name on the command line to a container's ID.

use std::ffi::OsString;
use std::process::Output;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use containerd_client::services::v1::Container;
use serde_json::Value;

use crate::arguments::CommitArguments;
use crate::containerd::Containerd;
use crate::passthrough::RealNerdctl;
use crate::system::signals;
use crate::system::text::quoted;

const NAME_LABEL: &str = "nerdctl/name";
/// How long the real nerdctl may look for the container before we ask whether containerd is the reason.
const INSPECT_PATIENCE: Duration = Duration::from_secs(10);
const SIGNAL_POLL: Duration = Duration::from_millis(20);

/// Asks the real nerdctl, and containerd itself where there is none or where that has no one answer.
pub fn container_id(
    containerd: &Containerd,
    real: Option<&RealNerdctl>,
    arguments: &CommitArguments,
) -> Result<String> {
    let name = &arguments.container;
    if let Some(real) = real
        && let [id] = inspect(containerd, real, arguments)?.as_slice()
    {
        return Ok(id.clone());
    }
    match search(containerd, name)?.as_slice() {
        [id] => Ok(id.clone()),
        [] => bail!(NoSuchContainer(name.clone())),
        _ => bail!("multiple IDs found with provided prefix: {name}"),
    }
}

/// The real nerdctl could not look for the container; whatever the reason, it says that best itself.
#[derive(Debug, thiserror::Error)]
#[error("`nerdctl container inspect` fails: {said}")]
pub struct InspectFailed {
    said: String,
}

/// containerd does not know it, in our namespace.
#[derive(Debug, thiserror::Error)]
#[error("no such container {0}")]
pub struct NoSuchContainer(pub String);

fn inspect(
    containerd: &Containerd,
    real: &RealNerdctl,
    arguments: &CommitArguments,
) -> Result<Vec<String>> {
    let name = &arguments.container;
    let mut words = arguments.globals.clone();
    words.extend(["container", "inspect", "--mode=native", "--", name].map(OsString::from));
    let looking = real.start(words)?;
    let output = outcome(&looking, containerd)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if said.contains("no such container") {
            return Ok(Vec::new());
        }
        return Err(InspectFailed { said }.into());
    }
    let found: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("reading what `nerdctl container inspect {name}` printed"))?;
    let ids = found.as_array().into_iter().flatten();
    Ok(ids
        .filter_map(|one| Some(one.get("ID")?.as_str()?.to_owned()))
        .collect())
}

/// Waits for what is `looking` as long as containerd answers, as it would wait for that without an end.
fn outcome(looking: &duct::Handle, containerd: &Containerd) -> Result<Output> {
    let mut asked = Instant::now();
    loop {
        if let Some(output) = looking.wait_timeout(SIGNAL_POLL)? {
            return Ok(output.clone());
        }
        let given_up = if asked.elapsed() < INSPECT_PATIENCE {
            signals::check().map_err(Into::into)
        } else {
            asked = Instant::now();
            containerd.ensure_it_answers()
        };
        if given_up.is_err() {
            // It has nothing to undo.
            let _ = looking.kill();
            given_up?;
        }
    }
}

/// nerdctl's rule (pkg/idutil/containerwalker): the name in a label, or the beginning of an ID. Unlike nerdctl's, a whole
/// ID that nobody has for a name is never ambiguous.
fn search(containerd: &Containerd, name: &str) -> Result<Vec<String>> {
    if name.starts_with("k8s://") {
        bail!(
            "specifying \"k8s://...\" form is not supported (Hint: specify ID instead): {}",
            quoted(name)
        );
    }
    let filters = vec![
        format!("labels.\"{NAME_LABEL}\"=={name}"),
        format!("id~=^{}.*$", escaped(name)),
    ];
    let found = containerd.containers_matching(filters)?;
    let is_called_so =
        |container: &Container| container.labels.get(NAME_LABEL).map(String::as_str) == Some(name);
    let has_whole_id = found.iter().any(|container| container.id == name);
    if has_whole_id && !found.iter().any(|one| is_called_so(one) && one.id != name) {
        return Ok(vec![name.to_owned()]);
    }
    Ok(found.into_iter().map(|container| container.id).collect())
}

/// Go's regexp.QuoteMeta.
fn escaped(name: &str) -> String {
    let mut escaped = String::new();
    for character in name.chars() {
        if "\\.+*?()|[]{}^$".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
