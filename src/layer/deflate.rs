//! Making a whole Deflate stream a part of a longer one (RFC 1951).
//!
//! libdeflate compresses buffers only, each into a stream that has an end; it is by far the fastest, but knows no flush.
//! A stream can go on after its last block once that is not marked as the last and ends on a whole byte. Only reading
//! tells where it begins: this walks through all blocks, code by code, and decodes nothing.

/// `BFINAL`, `BTYPE`.
const BLOCK_HEADER: usize = 3;
/// Length and complement of an empty stored block, which begins on a whole byte.
const EMPTY_STORED: [u8; 4] = [0, 0, 0xff, 0xff];

/// How many bits are seen at once, and the most that a code has (3.2.7).
const LOOK: usize = 56;
const LONGEST_CODE: usize = 15;

const CODE_LENGTHS: usize = 19;
/// In which order their lengths are written (3.2.7).
const CODE_LENGTH_ORDER: [usize; CODE_LENGTHS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
const MOST_LITERALS: usize = 286;
const MOST_DISTANCES: usize = 30;

/// Entries of a table: how many bits a code and those after it take, and what the code is. Zero is no code.
const BITS: u8 = 0x3f;
const LENGTH: u8 = 0x40;
const END: u8 = 0x80;

/// Lets something follow `stream`, which is whole. False, and nothing done, if it is none.
#[must_use]
pub fn let_go_on(stream: &mut Vec<u8>) -> bool {
    let Some((last_block, end)) = Walk::through(stream) else {
        return false;
    };
    stream[last_block / 8] &= !(1 << (last_block % 8));
    // The bits after the end are zero, as the header of a stored block is.
    if end.next_multiple_of(8) - end < BLOCK_HEADER {
        stream.push(0);
    }
    stream.extend(EMPTY_STORED);
    true
}

struct Walk<'a> {
    stream: &'a [u8],
    /// In bits, as all positions here.
    position: usize,
}

impl<'a> Walk<'a> {
    /// Where the last block begins and where the stream ends.
    fn through(stream: &'a [u8]) -> Option<(usize, usize)> {
        let mut walk = Self {
            stream,
            position: 0,
        };
        loop {
            let begin = walk.position;
            let is_last = walk.take(1) == 1;
            match walk.take(2) {
                0 => walk.skip_stored(),
                1 => walk.skip_codes(&fixed_literals(), &Table::distances(&[5; 32]))?,
                2 => walk.skip_dynamic()?,
                _ => return None,
            }
            if walk.position > stream.len() * 8 {
                return None;
            }
            if is_last {
                let is_whole = walk.position.div_ceil(8) == stream.len();
                return is_whole.then_some((begin, walk.position));
            }
        }
    }

    /// At least `LOOK` bits from the position on; zeros after the end.
    fn look(&self) -> u64 {
        let at = self.position / 8;
        let word = match self.stream.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u64::from_le_bytes(*bytes),
            None => self.look_at_end(at),
        };
        word >> (self.position % 8)
    }

    #[cold]
    fn look_at_end(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        let rest = self.stream.get(at..).unwrap_or_default();
        bytes[..rest.len()].copy_from_slice(rest);
        u64::from_le_bytes(bytes)
    }

    /// The next bits, 16 at most.
    fn take(&mut self, bits: usize) -> usize {
        let value = self.look() & ((1 << bits) - 1);
        self.position += bits;
        usize::try_from(value).unwrap_or_default()
    }

    fn skip_stored(&mut self) {
        self.position = self.position.next_multiple_of(8);
        let length = self.take(16);
        self.position += 16 + length * 8;
    }

    fn skip_dynamic(&mut self) -> Option<()> {
        let literals = self.take(5) + 257;
        let distances = self.take(5) + 1;
        let written = self.take(4) + 4;
        let mut lengths = [0; CODE_LENGTHS];
        for &code in &CODE_LENGTH_ORDER[..written] {
            lengths[code] = u8::try_from(self.take(3)).ok()?;
        }
        let lengths = self.take_lengths(&lengths, literals + distances)?;
        let (literals, distances) = lengths.split_at(literals);
        self.skip_codes(&Table::literals(literals), &Table::distances(distances))
    }

    /// The lengths of `count` codes, which are themselves coded with lengths.
    fn take_lengths(&mut self, of_codes: &[u8; CODE_LENGTHS], count: usize) -> Option<Vec<u8>> {
        // Seven bits at most, so that what the code is finds room above.
        let codes = Table::of(of_codes, |code, bits| {
            Some(bits | u8::try_from(code).ok()? << 3)
        });
        let mut lengths = Vec::with_capacity(MOST_LITERALS + MOST_DISTANCES);
        while lengths.len() < count {
            let entry = codes.entry(self.look());
            self.position += usize::from(entry & 7);
            let (length, times) = match entry >> 3 {
                _ if entry == 0 => return None,
                length @ 0..16 => (length, 1),
                16 => (*lengths.last()?, 3 + self.take(2)),
                17 => (0, 3 + self.take(3)),
                _ => (0, 11 + self.take(7)),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        (lengths.len() == count).then_some(lengths)
    }

    /// Goes on to the end of the block.
    fn skip_codes(&mut self, literals: &Table, distances: &Table) -> Option<()> {
        while self.position <= self.stream.len() * 8 {
            let begin = self.position;
            let mut word = self.look();
            let mut entry = literals.entry(word);
            // Two literals and what follows, 50 bits at most, are in one look.
            for _ in 0..2 {
                if entry >= LENGTH {
                    break;
                }
                self.position += usize::from(entry);
                word >>= entry;
                entry = literals.entry(word);
            }
            self.position += usize::from(entry & BITS);
            match entry {
                0 => return None,
                END.. => return Some(()),
                LENGTH.. => {
                    word >>= entry & BITS;
                    if self.position - begin > LOOK - LONGEST_CODE {
                        word = self.look();
                    }
                    match distances.entry(word) {
                        0 => return None,
                        distance => self.position += usize::from(distance),
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// For every way in which the next bits can begin, the code that they begin with.
struct Table {
    entries: Vec<u8>,
    mask: u64,
}

impl Table {
    /// Literals, the end of the block, and lengths, after which up to five bits follow.
    fn literals(lengths: &[u8]) -> Self {
        Self::of(lengths, |code, bits| match code {
            0..256 => Some(bits),
            256 => Some(bits | END),
            257..265 | 285 => Some(bits | LENGTH),
            _ => Some((bits + u8::try_from((code - 261) / 4).ok()?) | LENGTH),
        })
    }

    /// Distances, after which up to thirteen bits follow.
    fn distances(lengths: &[u8]) -> Self {
        Self::of(lengths, |code, bits| match code {
            0..4 => Some(bits),
            _ => Some(bits + u8::try_from(code / 2 - 1).ok()?),
        })
    }

    /// The canonical code with these lengths (3.2.2); `entry` is given a code and its length.
    fn of(lengths: &[u8], entry: impl Fn(usize, u8) -> Option<u8>) -> Self {
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let mut entries = Vec::with_capacity(1 << longest);
        entries.push(0);
        let mut code = 0_usize;
        for length in 1..=longest {
            // What is known goes on with either bit.
            entries.extend_from_within(..);
            code <<= 1;
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, of)| **of == length) {
                // Codes are written from their highest bit on. So many bits are an index of as many entries.
                let place = code.reverse_bits() >> (usize::BITS - u32::from(length));
                entries[place] = entry(symbol, length).unwrap_or(0);
                code += 1;
            }
        }
        let mask = entries.len() as u64 - 1;
        Self { entries, mask }
    }

    fn entry(&self, word: u64) -> u8 {
        let index = usize::try_from(word & self.mask).unwrap_or_default();
        self.entries.get(index).copied().unwrap_or(0)
    }
}

/// The code of blocks that bring none (3.2.6).
fn fixed_literals() -> Table {
    let mut lengths = [8; 288];
    lengths[144..256].fill(9);
    lengths[256..280].fill(7);
    Table::literals(&lengths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
    use libdeflater::{CompressionLvl, Compressor};

    fn inflate(stream: &[u8], length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 1);
        let mut decoder = Decompress::new(false);
        let status = decoder.decompress_vec(stream, &mut bytes, FlushDecompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        assert_eq!(decoder.total_in(), stream.len() as u64);
        bytes
    }

    fn libdeflate(bytes: &[u8], level: i32) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut stream = vec![0; compressor.deflate_compress_bound(bytes.len())];
        let length = compressor.deflate_compress(bytes, &mut stream).unwrap();
        stream.truncate(length);
        stream
    }

    fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut stream = Vec::with_capacity(bytes.len() * 2 + 100);
        let mut compressor = Compress::new(Compression::new(level), false);
        let status = compressor.compress_vec(bytes, &mut stream, FlushCompress::Finish);
        assert_eq!(status.unwrap(), Status::StreamEnd);
        stream
    }

    /// From one value only to noise, by way of numbers in words.
    fn contents() -> Vec<Vec<u8>> {
        let mut state = 1_u64;
        let mut next = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33).to_le_bytes()[0]
        };
        let mut all = vec![Vec::new(), vec![b'x'], vec![0; 200_000]];
        for kinds in [2_u8, 3, 16, 60, 255] {
            for length in [1, 2, 10, 1000, 9_999, 70_000, 200_000] {
                all.push((0..length).map(|_| next() % kinds).collect());
            }
        }
        let lines = (0..40_000_u64).map(|number| format!("{} of them\n", number * number));
        all.push(lines.collect::<String>().into_bytes());
        all
    }

    #[test]
    fn streams_go_on_one_after_the_other() {
        for maker in [libdeflate, |bytes: &[u8], level: i32| {
            zlib(bytes, level.unsigned_abs())
        }] {
            for level in [0, 1, 4, 9] {
                let (mut all, mut bytes) = (Vec::new(), Vec::new());
                for content in contents() {
                    let mut stream = maker(&content, level);
                    assert!(let_go_on(&mut stream));
                    all.extend(stream);
                    bytes.extend(content);
                }
                all.extend(libdeflate(b"the end", level));
                bytes.extend(b"the end");
                assert!(inflate(&all, bytes.len()) == bytes);
            }
        }
    }

    #[test]
    fn what_is_no_whole_stream_is_left_as_it_is() {
        for content in contents() {
            let whole = libdeflate(&content, 1);
            let longer = [&whole[..], b"x"].concat();
            let shorter = whole[..whole.len() - 1].to_vec();
            for mut stream in [longer, shorter] {
                let before = stream.clone();
                assert!(!let_go_on(&mut stream));
                assert!(stream == before);
            }
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end() {
        for content in contents() {
            for from in 0..content.len().min(400) {
                // Whether they are a stream does not matter.
                let _ = let_go_on(&mut content[from..].to_vec());
            }
        }
    }
}
