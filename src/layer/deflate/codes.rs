//! Huffman codes of a limited length, in the canonical form that their lengths alone describe (RFC 1951, 3.2.2).

use super::bits::Bits;

/// The most bits that a code may have anywhere (3.2.7).
pub const LONGEST_CODE: usize = 15;

/// A code for each of `N` symbols; no bits for those that do not occur.
pub struct Codes<const N: usize>([Bits; N]);

impl<const N: usize> Codes<N> {
    /// The codes, of `longest` bits at most, that are shortest for symbols that occur so often.
    pub fn of_counts(counts: &[u32; N], longest: usize) -> Self {
        Self::of_lengths(&lengths(counts, longest))
    }

    fn of_lengths(lengths: &[usize; N]) -> Self {
        let mut next = first_codes(lengths);
        Self(lengths.map(|length| {
            if length == 0 {
                return Bits::default();
            }
            let code = next[length];
            next[length] += 1;
            // A code is written from its highest bit on.
            let bits = length as u32;
            Bits::new(code.reverse_bits() >> (usize::BITS - bits), bits)
        }))
    }

    pub fn of(&self, symbol: usize) -> Bits {
        self.0[symbol]
    }

    /// Up to the last symbol that occurs, but at least of so many.
    pub fn lengths(&self, least: usize) -> impl Iterator<Item = u32> {
        let highest = self.0.iter().rposition(|code| code.count > 0);
        let used = highest.map_or(least, |highest| least.max(highest + 1));
        self.0[..used].iter().map(|code| code.count)
    }

    /// How many bits so many of the symbols take, each with those that follow it.
    pub fn cost(&self, counts: &[u32; N], following: impl Fn(usize) -> u32) -> usize {
        let symbols = counts.iter().zip(&self.0).enumerate();
        symbols
            .map(|(symbol, (count, code))| {
                *count as usize * (code.count + following(symbol)) as usize
            })
            .sum()
    }
}

/// The first code of each length.
fn first_codes(lengths: &[usize]) -> [usize; LONGEST_CODE + 1] {
    let mut first = [0; LONGEST_CODE + 1];
    for length in 1..LONGEST_CODE {
        let shorter = lengths.iter().filter(|other| **other == length).count();
        first[length + 1] = (first[length] + shorter) << 1;
    }
    first
}

/// A symbol that occurs, and how often.
type Leaf = (u32, usize);

fn lengths<const N: usize>(counts: &[u32; N], longest: usize) -> [usize; N] {
    let mut lengths = [0; N];
    let leaves = leaves(counts);
    let mut leaf = leaves.iter();
    let of_length = limited(&depths(&leaves), longest);
    // The rarest have the longest ones.
    for (length, number) in of_length.iter().enumerate().rev() {
        for (_, symbol) in leaf.by_ref().take(*number) {
            lengths[*symbol] = length;
        }
    }
    lengths
}

/// The symbols that occur, the rarest first; two at least, as some readers take no fewer.
fn leaves<const N: usize>(counts: &[u32; N]) -> Vec<Leaf> {
    let all = counts.iter().copied().zip(0..);
    let mut leaves: Vec<Leaf> = all.clone().filter(|(count, _)| *count > 0).collect();
    leaves.extend(
        all.filter(|(count, _)| *count == 0)
            .take(2_usize.saturating_sub(leaves.len())),
    );
    leaves.sort_unstable();
    leaves
}

/// How deep in Huffman's tree the leaves are. The nodes that join two are made in the order of their weights, so two
/// queues do.
fn depths(leaves: &[Leaf]) -> Vec<usize> {
    let joints = leaves.len() - 1;
    let mut weights: Vec<u64> = leaves.iter().map(|(count, _)| u64::from(*count)).collect();
    let mut parents = vec![0; leaves.len() + joints];
    let (mut leaf, mut joint) = (0, leaves.len());
    for parent in leaves.len()..leaves.len() + joints {
        let mut weight = 0;
        for _ in 0..2 {
            let is_leaf =
                joint == parent || (leaf < leaves.len() && weights[leaf] <= weights[joint]);
            let next = if is_leaf { &mut leaf } else { &mut joint };
            weight += weights[*next];
            parents[*next] = parent;
            *next += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; parents.len()];
    for node in (0..parents.len() - 1).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    depths.truncate(leaves.len());
    depths
}

/// How many codes there are of each length when none is longer than `longest`.
fn limited(depths: &[usize], longest: usize) -> Vec<usize> {
    let mut of_length = vec![0; longest + 1];
    for depth in depths {
        of_length[longest.min(*depth)] += 1;
    }
    // What all codes take of what there is (Kraft); a shorter code that becomes longer makes room for one more.
    let taken = |of_length: &[usize]| -> usize {
        let lengths = of_length.iter().enumerate();
        lengths
            .map(|(length, number)| number << (longest - length))
            .sum()
    };
    for _ in (1 << longest)..taken(&of_length) {
        let shorter = of_length[..longest].iter().rposition(|number| *number > 0);
        let shorter = shorter.unwrap_or_default();
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        of_length[longest] -= 1;
    }
    of_length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the codes of these lengths take of all there is, in 2^-15.
    fn taken<const N: usize>(codes: &Codes<N>) -> usize {
        let used = codes.0.iter().filter(|code| code.count > 0);
        used.map(|code| 1 << (15 - code.count)).sum()
    }

    fn bits(value: usize, count: u32) -> (u64, u32) {
        (value as u64, count)
    }

    /// The example of the specification: A to H with lengths 3, 3, 3, 3, 3, 2, 4, 4 (3.2.2), here from the last bit on.
    #[test]
    fn codes_are_canonical() {
        let codes = Codes::of_lengths(&[3, 3, 3, 3, 3, 2, 4, 4]);
        let found = codes.0.map(|code| (code.value, code.count));
        let expected = [
            bits(0b010, 3),
            bits(0b110, 3),
            bits(0b001, 3),
            bits(0b101, 3),
            bits(0b011, 3),
            bits(0b00, 2),
            bits(0b0111, 4),
            bits(0b1111, 4),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_frequent_is_short() {
        let codes = Codes::of_counts(&[1, 0, 8, 2, 1, 4], 15);
        assert_eq!(codes.0.map(|code| code.count), [4, 0, 1, 3, 4, 2]);
        assert_eq!(codes.cost(&[1, 0, 8, 2, 1, 4], |_| 0), 30);
        assert_eq!(codes.cost(&[1, 0, 0, 0, 0, 1], |symbol| symbol as u32), 11);
    }

    #[test]
    fn no_code_is_longer_than_it_may_be_and_none_is_left_over() {
        let mut fibonacci = [1_u32; 30];
        for index in 2..30 {
            fibonacci[index] = fibonacci[index - 1] + fibonacci[index - 2];
        }
        for longest in [5, 7, 14, 15] {
            let codes = Codes::of_counts(&fibonacci, longest);
            let lengths = codes.0.map(|code| code.count as usize);
            assert_eq!(lengths.iter().max(), Some(&longest));
            assert!(lengths.is_sorted_by(|rarer, other| rarer >= other));
            assert_eq!(taken(&codes), 1 << 15);
        }
    }

    #[test]
    fn two_symbols_have_codes_even_if_fewer_occur() {
        for counts in [[0, 0, 0], [0, 0, 9], [7, 0, 0], [1, 1, 0]] {
            let codes = Codes::of_counts(&counts, 15);
            assert_eq!(taken(&codes), 1 << 15);
            assert_eq!(codes.0.iter().filter(|code| code.count == 1).count(), 2);
        }
    }
}
