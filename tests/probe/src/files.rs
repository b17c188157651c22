//! Trees to measure commits with: many files of one size, made once and then left alone.
//!
//! Three files of four are words in a random order, of which gzip leaves about a half, and
//! the fourth is random bytes, of which it leaves all. The same call makes the same bytes.

use crate::random::Random;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const FILES_PER_DIRECTORY: u64 = 1000;
const PIECE: u64 = 1 << 20;
const WORDS: u64 = 4 << 10;
const RANDOM_SHARE: u64 = 4;

/// Makes `count` files of `length` bytes each below `directory`.
pub fn make(directory: &Path, count: u64, length: u64) -> io::Result<()> {
    let mut random = Random::new(count ^ length);
    let vocabulary = Vocabulary::new(&mut random);
    for index in 0..count {
        let folder = directory.join(format!("{:04}", index / FILES_PER_DIRECTORY));
        if index % FILES_PER_DIRECTORY == 0 {
            fs::create_dir_all(&folder)?;
        }
        let mut file = File::create(folder.join(format!("{index:07}")))?;
        let mut left = length;
        while left > 0 {
            let piece = usize::try_from(left.min(PIECE)).map_err(io::Error::other)?;
            file.write_all(&match index % RANDOM_SHARE {
                0 => random.bytes(piece),
                _ => vocabulary.text(&mut random, piece),
            })?;
            left -= piece as u64;
        }
    }
    Ok(())
}

/// Made-up words, a few of them frequent and most of them rare.
struct Vocabulary(Vec<Vec<u8>>);

impl Vocabulary {
    fn new(random: &mut Random) -> Self {
        Self((0..WORDS).map(|_| word(random)).collect())
    }

    fn text(&self, random: &mut Random, length: usize) -> Vec<u8> {
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            let number = random.next();
            // The product of two even draws: half of all words come from the first fifth.
            let rank = (number >> 34) % WORDS * ((number >> 4) % WORDS) / WORDS;
            text.extend_from_slice(&self.0[usize::try_from(rank).unwrap_or(0)]);
        }
        text.truncate(length);
        text
    }
}

/// Two to twelve letters, and a space or an end of line.
fn word(random: &mut Random) -> Vec<u8> {
    let letters = 2 + random.below(11);
    let mut word: Vec<u8> = (0..letters)
        .map(|_| b'a' + random.below(26) as u8)
        .collect();
    word.push(if random.below(12) == 0 { b'\n' } else { b' ' });
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_the_files_asked_for_and_is_the_same_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        for directory in [&one, &other] {
            make(directory, 1002, 70).unwrap();
        }
        for name in ["0000/0000000", "0000/0000999", "0001/0001001"] {
            let content = fs::read(one.join(name)).unwrap();
            assert_eq!(content.len(), 70);
            assert_eq!(content, fs::read(other.join(name)).unwrap());
        }
        assert_eq!(fs::read_dir(one.join("0001")).unwrap().count(), 2);
    }
}
