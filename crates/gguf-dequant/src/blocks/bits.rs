//! Bits of a block, spread over the lanes they belong to.

use zerocopy::transmute;

use crate::kernel::LANES;

/// 0xFF in each lane whose bit is set, for every byte. A load is faster than what compilers make of spreading the bits.
#[allow(clippy::indexing_slicing, reason = "it runs while the crate is compiled, where a panic is an error")]
static MASKS: [[u8; 8]; 256] = {
    let mut masks = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut bit = 0;
        while bit < 8 {
            masks[byte][bit] = if byte >> bit & 1 == 1 { 0xFF } else { 0 };
            bit += 1;
        }
        byte += 1;
    }
    masks
};

/// The two-bit fields of every byte, the lowest first.
#[allow(clippy::indexing_slicing, reason = "it runs while the crate is compiled, where a panic is an error")]
static QUARTERS: [[u8; 4]; 256] = {
    let mut quarters = [[0; 4]; 256];
    let mut byte = 0;
    while byte < 256 {
        quarters[byte] = [byte as u8 & 3, byte as u8 >> 2 & 3, byte as u8 >> 4 & 3, byte as u8 >> 6];
        byte += 1;
    }
    quarters
};

/// 0xFF in each lane whose bit is set: the first eight lanes have those of `first`, the others those of `last`.
#[inline(always)]
pub(super) fn masks(first: u8, last: u8) -> [u8; LANES] {
    transmute!([mask_word(first), mask_word(last)])
}

/// The two-bit fields of four bytes, the lowest of each byte first.
#[allow(clippy::indexing_slicing, reason = "there is an entry for every byte")]
#[inline(always)]
pub(super) fn quarters(bytes: [u8; 4]) -> [u8; LANES] {
    transmute!(bytes.map(|byte| QUARTERS[usize::from(byte)]))
}

/// 0xFF in each byte whose bit is set, as a word.
#[allow(clippy::indexing_slicing, reason = "there is an entry for every byte")]
#[inline(always)]
pub(super) fn mask_word(byte: u8) -> u64 {
    transmute!(MASKS[usize::from(byte)])
}

#[cfg(test)]
mod tests {
    use super::{mask_word, masks, quarters};

    #[test]
    fn each_lane_has_the_bit_that_is_its_own() {
        for byte in 0..=u8::MAX {
            let expected = |bit: usize| if byte >> bit & 1 == 1 { 0xFF } else { 0 };
            let (first, last) = (masks(byte, 0), masks(0, byte));
            assert_eq!(mask_word(byte).to_ne_bytes(), first[..8]);
            for bit in 0..8 {
                assert_eq!((first[bit], last[bit]), (expected(bit), 0));
                assert_eq!((first[bit + 8], last[bit + 8]), (0, expected(bit)));
            }
        }
    }

    #[test]
    fn each_lane_has_the_two_bits_that_are_its_own() {
        for byte in 0..=u8::MAX {
            let fields = [byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6];
            assert_eq!(quarters([byte, 0, !byte, byte])[..4], fields);
            assert_eq!(quarters([byte, 0, !byte, byte])[12..], fields);
        }
    }
}
