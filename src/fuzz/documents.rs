//! Documents of the content store, of containerd's answers and of the administrator.

use std::path::PathBuf;

use containerd_client::types::Mount;
use oci_spec::image::ImageManifest;
use serde_json::Value;

use super::texts;
use crate::containerd::OverlayMount;
use crate::digest::chain_id;
use crate::plan::base::search::{depth_of, diff_ids, digest_of, truncate};
use crate::plan::document::variables;
use crate::settings::nerdctl_toml::ConfigurationFile;

/// Whatever may lie in a content store: an index, a manifest, a configuration.
pub fn image_documents(bytes: &[u8]) {
    let Ok(mut document) = serde_json::from_slice::<Value>(bytes) else {
        return;
    };
    let manifests = document.get("manifests").and_then(Value::as_array);
    manifests
        .into_iter()
        .flatten()
        .for_each(|one| drop(digest_of(one)));
    // A manifest or none.
    let _ = serde_json::from_value::<ImageManifest>(document.clone());
    variables(&document, "/config/Env");
    let ids: Vec<String> = diff_ids(&document).into_iter().map(str::to_owned).collect();
    let Some((top, below)) = ids.split_last() else {
        return;
    };
    let below = below.iter().fold(None, |chain: Option<String>, id| {
        Some(chain_id(chain.as_deref(), id))
    });
    let chain = chain_id(below.as_deref(), top);
    let depth = depth_of(&chain, &diff_ids(&document)).unwrap();
    assert!(depth <= ids.len());
    truncate(&mut document, depth);
    assert!(diff_ids(&document).len() <= depth);
}

pub fn nerdctl_toml(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(file) = ConfigurationFile::parse(PathBuf::from("/nerdctl.toml"), &text) else {
        return;
    };
    let is_valid = file.check().is_ok();
    for key in ["address", "namespace", "cgroup_manager"] {
        assert!(file.text(key).is_ok() || !is_valid, "{key}");
    }
}

/// A mount's type and its options.
pub fn overlay_options(bytes: &[u8]) {
    let texts = texts(bytes);
    let options: Vec<String> = texts[1..].iter().map(ToString::to_string).collect();
    let mount = Mount {
        r#type: texts[0].to_string(),
        options: options.clone(),
        ..Mount::default()
    };
    if let Some(overlay) = OverlayMount::of(&[mount]) {
        let is_directory = |option: &String| {
            ["lowerdir=", "upperdir=", "workdir="]
                .iter()
                .any(|name| option.starts_with(name))
        };
        let flags = options.iter().filter(|option| !is_directory(option));
        assert!(flags.eq(&overlay.flags));
    }
}
