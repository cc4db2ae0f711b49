//! Bits of a block, spread over the lanes they belong to.

use zerocopy::transmute;

use crate::kernel::{LANES, map_lanes, zip_lanes};

/// For each lane the bit of its own within a byte of eight lanes.
const BIT_OF_LANE: [u8; LANES] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// 0xFF in each lane whose bit is set: the first eight lanes have those of `first`, the others those of `last`.
#[inline(always)]
pub(super) fn masks(first: u8, last: u8) -> [u8; LANES] {
    let bytes: [u8; LANES] = transmute!([[first; 8], [last; 8]]);
    zip_lanes(&bytes, &BIT_OF_LANE, |byte, bit| if byte & bit == 0 { 0 } else { 0xFF })
}

/// The two-bit fields of four bytes, the lowest of each byte first.
#[inline(always)]
pub(super) fn quarters(bytes: [u8; 4]) -> [u8; LANES] {
    let spread = bytes.map(|byte| {
        let fields = u32::from(byte);
        let fields = (fields | fields << 12) & 0x000F_000F;
        ((fields | fields << 6) & 0x0303_0303).to_le_bytes()
    });
    transmute!(spread)
}

/// The codes, negated where the mask is set.
#[inline(always)]
pub(super) fn negate(magnitudes: &[u8; LANES], masks: &[u8; LANES]) -> [i8; LANES] {
    let signed = zip_lanes(magnitudes, masks, |magnitude, mask| (magnitude ^ mask).wrapping_sub(mask));
    map_lanes(&signed, u8::cast_signed)
}

#[cfg(test)]
mod tests {
    use super::{masks, negate, quarters};

    #[test]
    fn each_lane_has_the_bit_that_is_its_own() {
        for byte in 0..=u8::MAX {
            let expected = |bit: usize| if byte >> bit & 1 == 1 { 0xFF } else { 0 };
            let (first, last) = (masks(byte, 0), masks(0, byte));
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

    #[test]
    fn codes_are_negated_where_the_mask_says() {
        let mut magnitudes = [43; 16];
        magnitudes[9] = 0;
        let codes = negate(&magnitudes, &masks(0b1000_0001, 0b0000_0010));
        assert_eq!(codes, [-43, 43, 43, 43, 43, 43, 43, -43, 43, 0, 43, 43, 43, 43, 43, 43]);
    }
}
