//! The stand-in's commands for images.

use super::StandIn;
use super::options::Options;
use crate::Result;
use anyhow::Context;

impl StandIn {
    pub fn list_images(&self) -> Result<i32> {
        println!("{}", self.ctr.run(&["images", "ls"])?);
        Ok(0)
    }

    pub fn remove_images(&self, words: &[&str]) -> Result<i32> {
        for word in Options::parse(words, &[], false)?.words {
            self.ctr
                .run(&["images", "rm", "--sync", &full_reference(&word)])?;
        }
        Ok(0)
    }

    pub fn load(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, &["-i", "--input"], false)?;
        let file = options
            .either("--input", "-i")
            .context("load wants --input")?;
        println!("{}", self.ctr.run(&["images", "import", file])?);
        Ok(0)
    }

    /// Without unpacking.
    pub fn pull(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, &["--platform"], false)?;
        let mut fetch = vec!["content", "fetch"];
        if let Some(platform) = options.value("--platform") {
            fetch.extend(["--platform", platform]);
        }
        for word in &options.words {
            self.ctr
                .run(&[&fetch[..], &[&full_reference(word)]].concat())?;
        }
        Ok(0)
    }

    pub fn save(&self, words: &[&str]) -> Result<i32> {
        let options = Options::parse(words, &["-o", "--output"], false)?;
        let file = options
            .either("--output", "-o")
            .context("save wants --output")?;
        let images: Vec<_> = options
            .words
            .iter()
            .map(|word| full_reference(word))
            .collect();
        let images: Vec<_> = images.iter().map(String::as_str).collect();
        self.ctr
            .run(&[&["images", "export", file], &images[..]].concat())?;
        Ok(0)
    }
}

/// The reference as Docker completes it: registry, `library`, and a tag.
pub fn full_reference(word: &str) -> String {
    let (first, rest) = word.split_once('/').unwrap_or(("", word));
    let is_registry = first.contains(['.', ':']) || first == "localhost";
    let named = match (first, is_registry) {
        ("", _) => format!("docker.io/library/{rest}"),
        (_, true) => word.to_owned(),
        (_, false) => format!("docker.io/{word}"),
    };
    let last = named.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        named
    } else {
        format!("{named}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::full_reference;

    #[test]
    fn references_are_completed_as_docker_does() {
        assert_eq!(full_reference("x"), "docker.io/library/x:latest");
        assert_eq!(full_reference("a/b:1"), "docker.io/a/b:1");
        assert_eq!(
            full_reference("localhost:5000/a/b"),
            "localhost:5000/a/b:latest"
        );
        assert_eq!(
            full_reference("docker.io/library/x:1"),
            "docker.io/library/x:1"
        );
    }
}
