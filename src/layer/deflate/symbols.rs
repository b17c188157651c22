//! The symbols that stand for lengths and distances, and the bits that follow them (RFC 1951, 3.2.5).

use super::bits::Bits;

/// How many there are of literals, the end of a block, and lengths together, and of distances.
pub const LITERALS: usize = 286;
pub const DISTANCES: usize = 30;
/// The end of a block.
pub const END: usize = 256;
const FIRST_LENGTH: usize = 257;

pub const SHORTEST: usize = 3;
pub const LONGEST: usize = 258;
pub const FARTHEST: usize = 1 << 15;

/// For each length its symbol.
const LENGTH_SYMBOLS: [u16; LONGEST + 1] = {
    let mut symbols = [0; LONGEST + 1];
    let mut length = SHORTEST;
    while length < LONGEST {
        symbols[length] = (FIRST_LENGTH + range(length - SHORTEST, 2)) as u16;
        length += 1;
    }
    // The longest has a symbol to itself.
    symbols[LONGEST] = (LITERALS - 1) as u16;
    symbols
};

/// Distances below it each have a place in `DISTANCE_SYMBOLS`.
const NEAR: usize = 256;
/// And the others so many together.
const BY: usize = FARTHEST / NEAR;
const DISTANCE_SYMBOLS: [u8; 2 * NEAR] = {
    let mut symbols = [0; 2 * NEAR];
    let mut place = 0;
    while place < NEAR {
        symbols[place] = range(place, 1) as u8;
        symbols[NEAR + place] = range(place * BY, 1) as u8;
        place += 1;
    }
    symbols
};

/// Into which range a value falls, where each power of two is cut into `1 << cuts` ranges of one size.
const fn range(value: usize, cuts: u32) -> usize {
    match value.checked_ilog2() {
        Some(log) if log >= cuts => {
            let bits = log - cuts;
            ((bits as usize) << cuts) + (value >> bits)
        }
        _ => value,
    }
}

/// How many bits tell the values of a range apart.
const fn range_bits(range: usize, cuts: u32) -> u32 {
    ((range >> cuts) as u32).saturating_sub(1)
}

/// Of a length from `SHORTEST` to `LONGEST`.
#[inline]
pub fn length_symbol(length: usize) -> usize {
    usize::from(LENGTH_SYMBOLS[length])
}

/// How many bits follow a symbol of the literals.
pub fn length_bits(symbol: usize) -> u32 {
    match symbol.checked_sub(FIRST_LENGTH) {
        Some(range) if symbol < LITERALS - 1 => range_bits(range, 2),
        _ => 0,
    }
}

/// What follows the symbol of a length.
pub fn length_rest(length: usize) -> Bits {
    let count = length_bits(length_symbol(length));
    Bits::new((length - SHORTEST) & ((1 << count) - 1), count)
}

/// Of a distance from 1 to `FARTHEST`.
#[inline]
pub fn distance_symbol(distance: usize) -> usize {
    let distance = distance - 1;
    let place = if distance < NEAR {
        distance
    } else {
        NEAR + distance / BY
    };
    usize::from(DISTANCE_SYMBOLS[place % (2 * NEAR)])
}

/// How many bits follow the symbol of a distance.
#[inline]
pub fn distance_bits(symbol: usize) -> u32 {
    range_bits(symbol, 1)
}

/// The value of what follows the symbol of a distance.
#[inline]
pub fn distance_rest(distance: usize, symbol: usize) -> u32 {
    (distance - 1) as u32 & ((1 << distance_bits(symbol)) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest value of each symbol, as the specification lists them.
    const LENGTHS: [usize; 29] = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115,
        131, 163, 195, 227, 258,
    ];
    const FAR: [usize; DISTANCES] = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537,
        2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577,
    ];

    #[test]
    fn lengths_are_those_of_the_specification() {
        for length in SHORTEST..=LONGEST {
            let (symbol, rest) = (length_symbol(length), length_rest(length));
            let least = LENGTHS[symbol - FIRST_LENGTH];
            let next = LENGTHS.get(symbol - FIRST_LENGTH + 1);
            assert_eq!(least + rest.value as usize, length);
            assert_eq!(rest.count, length_bits(symbol));
            // The last but one symbol has no use for its highest value.
            let values = next.map_or(1, |next| (next - least).next_power_of_two());
            assert_eq!(1 << rest.count, values, "{length}");
        }
        assert_eq!(length_bits(END), 0);
        assert_eq!(length_bits(255), 0);
    }

    #[test]
    fn distances_are_those_of_the_specification() {
        for distance in 1..=FARTHEST {
            let symbol = distance_symbol(distance);
            let rest = distance_rest(distance, symbol);
            let next = FAR.get(symbol + 1).copied().unwrap_or(FARTHEST + 1);
            assert_eq!(FAR[symbol] + rest as usize, distance);
            let values = 1 << distance_bits(symbol);
            assert_eq!(values, next - FAR[symbol], "{distance}");
        }
    }
}
