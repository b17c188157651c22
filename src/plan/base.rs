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
    /// That of the container's image.
    name: String,
    way: Way,
    /// Whether something was put on top of it, whose configuration this was.
    is_cut: bool,
    /// How many of the layers the content store lacks.
    missing: usize,
}

/// How it was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Under its name.
    Named,
    /// Below a commit of the container, which has that name by now.
    BelowCommit,
    /// By its layers alone.
    Alike,
}

/// The images of all of the layers, and the lower parts of commits of the container. What else was put on top of the base is
/// of no use: its configuration is another program's.
fn apart(images: Vec<BaseImage>) -> [Vec<BaseImage>; 2] {
    let (mut below, whole): (Vec<_>, Vec<_>) = images.into_iter().partition(|base| base.is_cut);
    below.retain(|base| base.way == Way::BelowCommit);
    [whole, below]
}

/// The first that are any.
fn first_of(groups: [Vec<BaseImage>; 2]) -> Vec<BaseImage> {
    let mut groups = groups.into_iter();
    groups.find(|group| !group.is_empty()).unwrap_or_default()
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
        let [mut named, committed] = apart(search.images(search.recorded(&subject.image)?)?);
        for base in &mut named {
            base.way = Way::Named;
        }
        let mut found = first_of([named, committed]);
        if found.is_empty() {
            [found, _] = apart(search.images(search.labelled(&subject.snapshotter)?)?);
        }
        if found.is_empty() {
            found = first_of(apart(search.images(search.conceivable()?)?));
            for base in &mut found {
                base.way = Way::Alike;
            }
        }
        for base in &mut found {
            base.missing = search.missing(&base.layers)?;
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
            Some(best) => Ok(Self {
                name: subject.image.clone(),
                ..best
            }),
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

    /// What whoever makes an image on top of this one has to know.
    pub fn warnings(&self, containerd: &Containerd) -> Vec<String> {
        [self.is_unnamed(), self.lacks(containerd)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Anybody may put an image of the same layers into the store, and what it says into that one.
    fn is_unnamed(&self) -> Option<String> {
        let Self {
            name,
            manifest_digest,
            ..
        } = self;
        let layers = if self.is_cut {
            "the same layers below a commit of the container"
        } else {
            "the same layers"
        };
        (self.way == Way::Alike).then(|| {
            format!(
                "the image that the container was made from is not to be found under its name, {name}: what \
                 {manifest_digest} says was taken, which has {layers}"
            )
        })
    }

    /// How to get what is lacking as well.
    fn lacks(&self, containerd: &Containerd) -> Option<String> {
        if self.missing == 0 {
            return None;
        }
        let (name, flags) = (&self.name, containerd.flags());
        let remedy = match self.way {
            Way::Named => format!(
                ", as by `nerdctl {flags}pull --unpack=false {name}` or `ctr {flags}content fetch {name}`"
            ),
            Way::BelowCommit | Way::Alike => String::new(),
        };
        Some(format!(
            "{} of the {} layers of the base image are not in the content store: the new image runs here, but cannot be \
             pushed or saved until they are fetched again{remedy}",
            self.missing,
            self.layers.len()
        ))
    }
}
