//! The base image: the configuration and the layers that the container's snapshot stands on.
//!
//! The snapshot decides, not the name: a manifest whose configuration has the snapshot's parent as its chain ID. It is
//! looked for where the image record leads, and where the container was committed to it, below that: its configuration is
//! that of the commit then, as stock's is. Where the record is gone or was moved, it is looked for where containerd's labels
//! lead, and last in all of the content store, commits of the container included. Of several, it is the one that is most like
//! what the container was started with.

mod likeness;
pub mod platform;
pub mod search;
mod spelling;

use anyhow::{Result, bail};
use oci_spec::image::Descriptor;
use prost_types::Timestamp;
use serde_json::Value;

use super::Subject;
use super::document::variables;
use crate::arguments::{Environment, by_digest};
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
    /// Whether a commit of the container was on top of it, whose configuration this was.
    is_below_commit: bool,
    /// What the container's image record pointed to, where that led to it.
    named_by: Option<String>,
}

/// The images of all of the layers; without any, those below a commit of the container.
fn preferred(images: Vec<BaseImage>) -> Vec<BaseImage> {
    let (below, whole): (Vec<_>, Vec<_>) =
        images.into_iter().partition(|base| base.is_below_commit);
    if whole.is_empty() { below } else { whole }
}

/// The one that the container was most likely made from.
fn closest(
    containerd: &Containerd,
    subject: &Subject,
    images: Vec<BaseImage>,
) -> Result<Option<BaseImage>> {
    let host = || format!("linux/{}", platform::host_architecture());
    let platform = subject.labels.get(PLATFORM_LABEL);
    let platform = platform.map_or_else(host, String::clone);
    let rated = images.into_iter().map(|base| {
        let fits = platform::is_for(&base.config, &platform);
        let distance = likeness::distance(&base.config, &subject.spec, &subject.labels);
        let is_later = base.was_made_after(subject.created.as_ref());
        Ok(((!fits, distance, is_later, base.missing(containerd)?), base))
    });
    let rated: Vec<_> = rated.collect::<Result<_>>()?;
    let best = rated
        .into_iter()
        .min_by(|(one, _), (other, _)| one.cmp(other));
    Ok(best.map(|(_, base)| base))
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
        let recorded = search.recorded(&subject.image)?;
        let mut found = preferred(search.images(recorded.iter().cloned().collect())?);
        let named_by = recorded.filter(|_| !found.is_empty());
        if found.is_empty() {
            found = preferred(search.images(search.labelled(&subject.snapshotter)?)?);
        }
        if found.is_empty() {
            found = preferred(search.images(search.conceivable()?)?);
        }
        let best = if found.len() == 1 {
            found.pop()
        } else {
            closest(containerd, subject, found)?
        };
        match best {
            Some(best) => Ok(Self { named_by, ..best }),
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

    /// Whether the container was there before it, as far as that is known.
    fn was_made_after(&self, container: Option<&Timestamp>) -> bool {
        let created = self.config.get("created").and_then(Value::as_str);
        let created: Option<Timestamp> = created.and_then(|text| text.parse().ok());
        let order = |time: &Timestamp| (time.seconds, time.nanos);
        created
            .zip(container)
            .is_some_and(|(created, container)| order(&created) > order(container))
    }

    /// What whoever has made an image on top of this one has to know; `name` is that of the container's image. Anybody may
    /// put an image of the same layers into the store, and what it says into that one.
    pub fn warning(&self, name: &str) -> Option<String> {
        if self.named_by.is_some() {
            return None;
        }
        let below = if self.is_below_commit {
            " below a commit of the container"
        } else {
            ""
        };
        Some(format!(
            "the image that the container was made from is not to be found under its name, {name}: what {} says was taken, \
             which has the same layers{below}",
            self.manifest_digest
        ))
    }

    /// What a registry has it as, if any: by digest, as the name may lead to something else by now, here and there. `parent` is
    /// the chain ID of its layers.
    pub fn source(
        &self,
        containerd: &Containerd,
        subject: &Subject,
        parent: &str,
    ) -> Result<Option<String>> {
        let search = Search {
            containerd,
            parent,
            command_line: &subject.command_line(),
        };
        let digest = match &self.named_by {
            // The name leads to the commit; ours keep the image below as well.
            _ if self.is_below_commit => search.whole(&subject.snapshotter)?,
            Some(named) => Some(named.clone()),
            None => Some(self.manifest_digest.clone()),
        };
        Ok(digest.and_then(|digest| by_digest(&subject.image, &digest)))
    }

    /// `OS/ARCHITECTURE[/VARIANT]`.
    pub fn platform(&self) -> String {
        platform::of(&self.config)
    }

    /// How many of the layers the content store lacks.
    pub fn missing(&self, containerd: &Containerd) -> Result<usize> {
        let mut missing = 0;
        for digest in self.layer_digests() {
            missing += usize::from(containerd.blob_info(digest)?.is_none());
        }
        Ok(missing)
    }

    pub fn layer_digests(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().map(|layer| layer.digest().as_ref())
    }
}
