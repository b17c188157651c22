//! The base image: the configuration and the layers that the container's snapshot stands on.
//!
//! The snapshot decides, not the name: a manifest whose configuration has the snapshot's parent as its chain ID. It is
//! looked for where the image record leads, and where the container was committed to it, below that: its configuration is
//! that of the commit then, as stock's is. Where the record is gone or was moved, it is looked for where containerd's labels
//! lead and below whatever was put on top of it, and last in all of the content store. Of several, it is the one that is most
//! like what the container was started with.

mod likeness;
pub mod platform;
pub mod search;
mod spelling;

use anyhow::{Result, bail};
use oci_spec::image::Descriptor;
use serde_json::Value;

use super::Subject;
use super::document::variables;
use crate::arguments::Environment;
use crate::containerd::Containerd;
use search::Search;

/// nerdctl's, on a container: the platform that its image was chosen for.
const PLATFORM_LABEL: &str = "nerdctl/platform";

/// The image below the container's own changes.
pub struct BaseImage {
    /// As stored but for the case of its names, where all of that image is the base: nothing of it is lost that we do not know.
    pub config: Value,
    pub manifest_digest: String,
    pub layers: Vec<Descriptor>,
    /// The name that leads to all of it.
    name: Option<String>,
    /// Whether something was put on top of it, whose configuration this was.
    is_cut: bool,
    /// Whether that was a commit of the container.
    is_below_commit: bool,
    /// How many of the layers the content store lacks.
    missing: usize,
}

impl BaseImage {
    /// # Errors
    /// No manifest in the content store has the chain ID `parent`.
    pub fn find(containerd: &Containerd, subject: &Subject, parent: &str) -> Result<Self> {
        let search = Search {
            containerd,
            parent,
            command_line: &subject.command_line(),
        };
        let named = search.images(search.recorded(&subject.image)?)?;
        let (below, mut found): (Vec<_>, Vec<_>) = named.into_iter().partition(|base| base.is_cut);
        for base in &mut found {
            base.name = Some(subject.image.clone());
        }
        if found.is_empty() {
            let below = below.into_iter();
            let (committed, others): (Vec<_>, Vec<_>) =
                below.partition(|base| base.is_below_commit);
            found = committed;
            if found.is_empty() {
                found = search.whole(search.labelled(&subject.snapshotter)?)?;
                found.extend(others);
            }
        }
        if found.is_empty() {
            found = search.whole(search.conceivable()?)?;
        }
        let host = || format!("linux/{}", platform::host_architecture());
        let platform = subject.labels.get(PLATFORM_LABEL);
        let platform = platform.map_or_else(host, String::clone);
        let best = found.into_iter().min_by_key(|base| {
            let fits = platform::is_for(&base.config, &platform);
            let distance = likeness::distance(&base.config, &subject.spec);
            (!fits, distance, base.is_cut, base.missing)
        });
        match best {
            Some(best) => Ok(best),
            None => bail!(
                "the image that container {} was made from ({}) is no longer in the content store, nor is any other with \
                 its layers: pull it again, or tag it with its old name",
                subject.id,
                subject.image
            ),
        }
    }

    /// Of its layers, from the lowest.
    pub fn diff_ids(&self) -> Vec<&str> {
        search::diff_ids(&self.config)
    }

    /// The variables that its containers start with.
    pub fn environment(&self) -> Environment {
        variables(&self.config, "/config/Env")
    }

    /// What an image on top of this one lacks, and how to get it, for whoever makes one.
    pub fn warning(&self, containerd: &Containerd) -> Option<String> {
        if self.missing == 0 {
            return None;
        }
        let remedy = self.name.as_ref().map_or(String::new(), |name| {
            let flags = containerd.flags();
            format!(
                ", as by `nerdctl {flags}pull --unpack=false {name}` or `ctr {flags}content fetch {name}`"
            )
        });
        Some(format!(
            "{} of the {} layers of the base image are not in the content store: the new image runs here, but cannot be \
             pushed or saved until they are fetched again{remedy}",
            self.missing,
            self.layers.len()
        ))
    }
}
