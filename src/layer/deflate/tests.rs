//! What is compressed, read by zlib-rs.

use flate2::{Compress, Compression, FlushCompress};

use super::bits::BitWriter;
use super::token::{Counts, Token};
use super::*;
use crate::fuzz::inflate;

const EFFORTS: [Effort; 2] = [Effort::Fast, Effort::Thorough];

fn compressed(bytes: &[u8], effort: Effort) -> Vec<u8> {
    Deflate::default().compress(&[], bytes, effort)
}

/// Bytes below `kinds` (a linear congruential generator).
pub fn noise(kinds: u32, length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((state >> 33) as u32 % kinds).to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn lines(length: usize) -> Vec<u8> {
    let lines = (0_u64..).flat_map(|number| format!("{} of them\n", number * number).into_bytes());
    lines.take(length).collect()
}

/// From one value only to noise, by way of numbers in words.
fn contents() -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new(), vec![b'x'], lines(400_000)];
    for kinds in [1, 2, 3, 16, 60, 256] {
        let lengths = [1, 2, 3, 7, 8, 9, 10, 17, 300, 1000, 9_999, 70_000, 200_000];
        all.extend(lengths.map(|length| noise(kinds, length)));
    }
    for period in [1, 5, 6, 7, 8, 9, 16, 257, 258, 259, 32_767, 32_768, 32_769] {
        let period = noise(256, period);
        all.push(period.iter().copied().cycle().take(150_000).collect());
    }
    all
}

#[test]
fn pieces_go_on_one_after_the_other() {
    let (mut blocks, mut bytes, mut deflate) = (Vec::new(), Vec::new(), Deflate::default());
    for content in contents() {
        for effort in EFFORTS {
            blocks.extend(deflate.compress(&[], &content, effort));
            blocks.extend(deflate.store(&content));
            bytes.extend([&content[..], &content[..]].concat());
        }
    }
    assert!(inflate(&blocks, bytes.len()) == bytes);
}

#[test]
fn a_piece_longer_than_what_is_compressed_at_a_time_stays_whole() {
    for effort in EFFORTS {
        for more in [0, 1, 7, 8, 500] {
            let bytes = lines(2 * Input::MOST + more);
            assert!(inflate(&compressed(&bytes, effort), bytes.len()) == bytes);
        }
    }
}

#[test]
fn what_is_before_a_piece_is_copied_from() {
    for effort in EFFORTS {
        let mut deflate = Deflate::default();
        for content in contents() {
            let mut blocks = deflate.compress(&[], &content, effort);
            blocks.extend(deflate.compress(&content, &content, effort));
            assert!(inflate(&blocks, 2 * content.len()) == content.repeat(2));
        }
        for length in [1_000, 20_000, FARTHEST] {
            let noise = noise(256, length);
            let before = [&noise[..], &noise].concat();
            assert!(deflate.compress(&before, &noise, effort).len() < length / 10);
        }
    }
}

#[test]
fn what_was_compressed_before_does_not_matter() {
    for effort in EFFORTS {
        let mut deflate = Deflate::default();
        for content in contents() {
            assert!(deflate.compress(&[], &content, effort) == compressed(&content, effort));
        }
    }
}

#[test]
fn noise_hardly_grows() {
    for effort in EFFORTS {
        for length in [1, 100, 70_000, Input::MOST] {
            let most = length + length / 1000 + 20;
            assert!(compressed(&noise(256, length), effort).len() <= most);
        }
    }
}

#[test]
fn repetitions_are_found_as_far_back_as_they_may_be() {
    for effort in EFFORTS {
        // One that is a multiple of eight is found even where patience has come to an end.
        for (distance, is_found) in [(5_000, true), (32_768, true), (32_769, false)] {
            let bytes = noise(256, distance).repeat(2);
            let length = compressed(&bytes, effort).len();
            assert_eq!(
                length < distance + distance / 2,
                is_found,
                "{effort:?} {distance}"
            );
        }
    }
}

/// How often the bytes are is Fibonacci's numbers, which makes the codes as unequal as they can be.
#[test]
fn the_longest_codes_are_written_and_read() {
    let often = std::iter::successors(Some((1, 1)), |(one, other)| Some((*other, one + other)));
    let bytes: Vec<u8> = (0..20)
        .zip(often)
        .flat_map(|(byte, (often, _))| vec![byte; often])
        .collect();
    let mut counts = Counts::default();
    for byte in &bytes {
        counts.literals[usize::from(*byte)] += 1;
    }
    let tokens: Vec<Token> = bytes.iter().map(|byte| Token::literal(*byte)).collect();
    let mut bits = BitWriter::default();
    block::write(&mut bits, &bytes, &tokens, &mut counts);
    block::align(&mut bits);
    assert!(inflate(&bits.take(), bytes.len()) == bytes);
}

/// Codes that fit both would fit neither.
#[test]
fn bytes_that_are_unlike_get_blocks_of_their_own() {
    let (text, noise) = (lines(60_000), noise(256, 60_000));
    for effort in EFFORTS {
        let apart = compressed(&text, effort).len() + compressed(&noise, effort).len();
        let together = compressed(&[&text[..], &noise].concat(), effort).len();
        assert!(together < apart + apart / 50, "{together} {apart}");
    }
}

/// As other encoders make of it: zlib's fast and its usual level.
#[test]
fn text_becomes_as_small_as_elsewhere() {
    let bytes = lines(400_000);
    for (effort, level) in [(Effort::Fast, 1), (Effort::Thorough, 6)] {
        let mut other = Compress::new(Compression::new(level), false);
        let mut stream = Vec::with_capacity(bytes.len());
        let finished = other.compress_vec(&bytes, &mut stream, FlushCompress::Finish);
        finished.unwrap();
        let ours = compressed(&bytes, effort).len();
        assert!(
            ours < stream.len() + stream.len() / 10,
            "{ours} {}",
            stream.len()
        );
    }
}
