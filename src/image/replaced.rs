//! The image whose name the new one takes: containers may stand on its layers, whose commits need its configuration, so that
//! it stays as long as its snapshot does. Where nobody needs that, nothing keeps either.

use std::iter::once;

use anyhow::Result;

use crate::containerd::{Containerd, labels};
use crate::log;
use crate::system::signals;

/// What the names of an index's manifests begin with (containerd's core/images, `ChildGCLabels`).
const MANIFEST: &str = "m.";

/// Keeps the image `reference`, if there is one; says so where that fails, as later commits would, and this one need not.
///
/// # Errors
/// A signal has come.
pub fn keep(containerd: &Containerd, snapshotter: &str, reference: &str) -> Result<()> {
    if let Err(error) = try_to_keep(containerd, snapshotter, reference) {
        signals::check()?;
        log::warnings(&[format!(
            "the image that {reference} was until now is not kept for the containers that were made from it, whose commits \
             need it: {error:#}"
        )]);
    }
    Ok(())
}

fn try_to_keep(containerd: &Containerd, snapshotter: &str, reference: &str) -> Result<()> {
    let image = containerd.image(reference)?;
    let Some(target) = image.and_then(|image| image.target) else {
        return Ok(());
    };
    let of_index = named_by(containerd, &target.digest, |name| {
        name.starts_with(MANIFEST)
    })?;
    for manifest in once(target.digest).chain(of_index) {
        for config in named_by(containerd, &manifest, |name| labels::CONFIG.contains(&name))? {
            let config = containerd.blob_info(&config)?;
            let label = labels::snapshot(snapshotter);
            if let Some(snapshot) = config.and_then(|config| config.labels.get(&label).cloned()) {
                containerd.keep_beside_snapshot(snapshotter, &snapshot, &manifest)?;
            }
        }
    }
    Ok(())
}

/// What a document names, as far as its labels tell.
fn named_by(
    containerd: &Containerd,
    digest: &str,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let labels = containerd
        .blob_info(digest)?
        .map(|document| document.labels);
    let labels = labels.unwrap_or_default().into_iter();
    let wanted = labels.filter(|(label, _)| {
        let name = label.strip_prefix(&labels::content(""));
        name.is_some_and(&is_wanted)
    });
    Ok(wanted.map(|(_, digest)| digest).collect())
}
