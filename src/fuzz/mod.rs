//! What anybody may hand us: every parser, the layer writer on any tree, and what compresses it, for bytes of any kind.
//!
//! Each target takes an input of a fuzzer's and panics where something does not hold. `tests/fuzz` makes inputs; those kept
//! in fuzz/corpus are run by the ordinary tests, with some that are nearly the same. Several words of one input are apart by ASCII's unit separator.

// They are there to panic.
#![allow(clippy::missing_panics_doc)]

mod archive;
mod deflate;
mod documents;
mod files;
#[cfg(test)]
mod mutation;
mod words;

pub use archive::archive;
pub use deflate::deflate;
#[cfg(test)]
pub(crate) use deflate::inflate;
pub use documents::{image_documents, nerdctl_toml, overlay_options};
pub use files::{cgroup, mark, mounts, writers};
pub use words::{change, command_line, reference, report_path, reserve, text, watchdog};

use std::borrow::Cow;

const SEPARATOR: u8 = 0x1f;

/// The words of an input.
fn split(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == SEPARATOR).collect()
}

fn texts(bytes: &[u8]) -> Vec<Cow<'_, str>> {
    split(bytes)
        .into_iter()
        .map(String::from_utf8_lossy)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::mutation::Mutations;

    /// Inputs made of a target's corpus; a fuzzer finds better ones.
    const MUTATIONS: usize = 500;

    fn replay(name: &str, target: fn(&[u8])) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(name);
        let mut corpus = Vec::new();
        for input in fs::read_dir(&folder).unwrap() {
            let path = input.unwrap().path();
            println!("{}", path.display());
            corpus.push(fs::read(path).unwrap());
            target(corpus.last().unwrap());
        }
        corpus.sort();
        let mut mutations = Mutations::of(&corpus);
        for _ in 0..MUTATIONS {
            let input = mutations.next();
            println!("{}", input.escape_ascii());
            target(&input);
        }
    }

    /// A test for each target, of its name.
    macro_rules! replayed {
        ($($target:ident)*) => {
            $(#[test] fn $target() { replay(stringify!($target), super::$target); })*

            #[test]
            fn every_target_has_its_program_and_every_corpus_its_target() {
                let targets = [$(stringify!($target)),*];
                let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
                let names = |folder: &str| {
                    let entries = fs::read_dir(fuzz.join(folder)).unwrap();
                    let mut names: Vec<String> = entries
                        .map(|entry| entry.unwrap().path())
                        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
                        .collect();
                    names.sort();
                    names
                };
                assert_eq!(names("targets"), targets);
                assert_eq!(names("corpus"), targets);
                let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
                for target in targets {
                    let program = format!("name = \"{target}\"\npath = \"targets/{target}.rs\"\n");
                    assert!(manifest.contains(&program), "{target}");
                }
            }
        };
    }

    // In the order of the alphabet.
    replayed! {
        archive cgroup change command_line deflate image_documents mark mounts nerdctl_toml overlay_options reference
        report_path reserve text watchdog writers
    }
}
