//! Inputs that are nearly those of the corpus, for the ordinary tests: the same ones every time.

const MOST_EDITS: usize = 4;
const LONGEST_PIECE: usize = 40;

/// An xorshift generator over the corpus.
pub struct Mutations<'a> {
    corpus: &'a [Vec<u8>],
    state: u64,
}

impl<'a> Mutations<'a> {
    /// Of a corpus that is not empty.
    pub fn of(corpus: &'a [Vec<u8>]) -> Self {
        let state = 0x9e37_79b9_7f4a_7c15;
        Self { corpus, state }
    }

    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.any().clone();
        for _ in 0..=self.below(MOST_EDITS) {
            self.edit(&mut input);
        }
        input
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 33).unwrap() % bound.max(1)
    }

    fn any(&mut self) -> &'a Vec<u8> {
        &self.corpus[self.below(self.corpus.len())]
    }

    fn edit(&mut self, input: &mut Vec<u8>) {
        let at = self.below(input.len());
        match self.below(5) {
            0 if !input.is_empty() => input[at] ^= 1 << self.below(8),
            1 if !input.is_empty() => input[at] = self.below(256).to_le_bytes()[0],
            2 => {
                let end = at + self.below(LONGEST_PIECE);
                input.drain(at..end.min(input.len()));
            }
            _ => {
                let other = self.any();
                let start = self.below(other.len());
                let end = other.len().min(start + self.below(LONGEST_PIECE));
                input.splice(at..at, other[start..end].iter().copied());
            }
        }
    }
}
