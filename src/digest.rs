//! SHA-256 digests as the OCI image specification writes them (descriptor.md, "Digests"): `sha256:` and lower-case
//! hexadecimal.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// A hash in the making.
#[derive(Clone, Default)]
pub struct Sha256Digest(Sha256);

impl Sha256Digest {
    /// That of `bytes` alone.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(bytes))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn hexadecimal(&self) -> String {
        let hash = self.0.clone().finalize();
        hash.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl std::fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "sha256:{}", self.hexadecimal())
    }
}

/// The chain ID of `layer` on top of the layers that `parent` names (OCI image specification, config.md, "Layer
/// `ChainID`"); without a parent it is the layer's diff ID itself.
pub fn chain_id(parent: Option<&str>, layer: &str) -> String {
    let Some(parent) = parent else {
        return layer.to_owned();
    };
    Sha256Digest::of(format!("{parent} {layer}").as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_digest_is_the_known_one() {
        assert_eq!(
            Sha256Digest::default().to_string(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn a_chain_of_one_layer_is_its_diff_id() {
        assert_eq!(chain_id(None, "sha256:a"), "sha256:a");
        assert_ne!(
            chain_id(Some("sha256:a"), "sha256:b"),
            chain_id(Some("sha256:b"), "sha256:a")
        );
    }
}
