//! Codebooks: several small numbers for each index, two or four of them side by side in a vector.

use zerocopy::transmute;

use super::bits;
use crate::kernel::Codes;

/// A codebook as it is written down: bytes in hexadecimal, each of indices into `values` from its lowest bits up; two bits an
/// index where there are up to four values, else four.
#[allow(clippy::indexing_slicing, reason = "it runs while the crate is compiled, where a panic is an error")]
pub(super) const fn unpacked<const N: usize, const E: usize, const M: usize>(
    values: [i8; M],
    digits: &[u8],
) -> [[i8; E]; N] {
    let per_byte = if M <= 4 { 4 } else { 2 };
    assert!(digits.len() == 2 * N * E / per_byte);
    let mut grid = [[0; E]; N];
    let mut place = 0;
    while place < N * E {
        let byte = place / per_byte;
        let bits = digit(digits[2 * byte]) << 4 | digit(digits[2 * byte + 1]);
        let index = bits >> (8 / per_byte * (place % per_byte)) & ((1 << (8 / per_byte)) - 1);
        grid[place / E][place % E] = values[index as usize];
        place += 1;
    }
    grid
}

#[allow(clippy::panic, reason = "it runs while the crate is compiled, where a panic is an error")]
const fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        _ => panic!("expected a digit in hexadecimal"),
    }
}

/// The scale of 16 values, or 32, of the types with a codebook of two bits.
#[inline(always)]
pub(super) fn scale_of_two_bits(d: f32, scale: u8) -> f32 {
    d * (0.5 + f32::from(scale)) * 0.25
}

/// The entry of an index. What is above the bits of the grid's size, a power of two, does not count.
#[allow(clippy::indexing_slicing, reason = "the index is below the length")]
#[inline(always)]
pub(super) fn entry<const N: usize, const E: usize>(grid: &[[i8; E]; N], index: u16) -> [i8; E] {
    const { assert!(N.is_power_of_two()) };
    grid[usize::from(index) & (N - 1)]
}

/// Sixteen bytes, eight to a word. What is done with entries is done in words, which compilers leave whole.
pub(super) type Words = [u64; 2];

/// In each byte of a word.
pub(super) const fn in_each_byte(value: u8) -> u64 {
    u64::MAX / 255 * value as u64
}

/// Two entries of eight.
#[inline(always)]
pub(super) fn pair<const N: usize>(grid: &[[i8; 8]; N], indices: [u16; 2]) -> Words {
    transmute!(indices.map(|index| entry(grid, index)))
}

/// Four entries of four.
#[inline(always)]
pub(super) fn four<const N: usize>(grid: &[[i8; 4]; N], indices: [u16; 4]) -> Words {
    transmute!(indices.map(|index| entry(grid, index)))
}

/// The magnitudes, negated where a bit is set: the first eight by the first byte, the others by the last. None of them is 0, so
/// that nothing is carried from one to the next.
#[inline(always)]
pub(super) fn signed([first, last]: Words, signs: [u8; 2]) -> Codes {
    let [first_mask, last_mask] = signs.map(bits::mask_word);
    let negate = |word: u64, mask: u64| (word ^ mask).wrapping_add(mask & in_each_byte(1));
    transmute!([negate(first, first_mask), negate(last, last_mask)])
}

/// The signs of eight values of which seven are stored: together there is an even number of minuses.
#[inline(always)]
pub(super) fn even_signs(stored: u32) -> u8 {
    let seven = stored as u8 & 127;
    seven | (seven.count_ones() as u8 & 1) << 7
}

/// An index whose bits above the lower eight are stored apart.
#[inline(always)]
pub(super) fn index(lower: u8, upper: u16) -> u16 {
    u16::from(lower) | upper << 8
}

#[cfg(test)]
mod tests {
    use super::{even_signs, in_each_byte, index, signed, unpacked};

    #[test]
    fn codebooks_are_unpacked_from_the_lower_half_of_a_byte_up() {
        let two_bits: [[i8; 2]; 2] = unpacked([10, 20, 30, 40], b"e4");
        assert_eq!(two_bits, [[10, 20], [30, 40]]);
        let four_bits: [[i8; 2]; 2] = unpacked([0, 1, 2, 3, 4, 5, 6, 7], b"7025");
        assert_eq!(four_bits, [[0, 7], [5, 2]]);
    }

    #[test]
    fn the_eighth_sign_makes_their_number_even() {
        for stored in 0..128 {
            let signs = even_signs(stored);
            assert_eq!(u32::from(signs) & 127, stored);
            assert_eq!(signs.count_ones() % 2, 0);
        }
    }

    #[test]
    fn signs_are_those_of_their_lanes() {
        let ones = [in_each_byte(1); 2];
        assert_eq!(signed(ones, [0b11, 0x80]), [-1, -1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1]);
        assert_eq!(index(0xFF, 7), 2047);
    }
}
