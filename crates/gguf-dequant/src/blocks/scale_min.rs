//! The twelve bytes in which `Q4_K` packs a scale and a minimum of 6 bits for each of its eight sub-blocks.

use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, transmute};

/// Byte j of a word belongs to sub-blocks j and j + 4.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ScaleMin {
    /// Bits 0 to 5: scale j. Bits 6 and 7: the upper bits of scale j + 4.
    scales: U32,
    /// Bits 0 to 5: minimum j. Bits 6 and 7: the upper bits of minimum j + 4.
    minimums: U32,
    /// The lower bits, low nibble of scale j + 4, high nibble of minimum j + 4.
    lower_bits: U32,
}

/// One number per sub-block, in pairs as the sub-blocks share code bytes.
pub(crate) type Pairs = [[u8; 2]; 4];

impl ScaleMin {
    /// The scales and the minimums, four bytes at a time within a word.
    #[inline(always)]
    pub(crate) fn unpack(&self) -> (Pairs, Pairs) {
        let lower_bits = self.lower_bits.get();
        (pairs(self.scales.get(), lower_bits), pairs(self.minimums.get(), lower_bits >> 4))
    }
}

#[inline(always)]
fn pairs(word: u32, lower_bits: u32) -> Pairs {
    let first = word & 0x3F3F_3F3F;
    let last = (lower_bits & 0x0F0F_0F0F) | ((word & 0xC0C0_C0C0) >> 2);
    transmute!([first.to_le_bytes(), last.to_le_bytes()])
}

#[cfg(test)]
mod tests {
    use zerocopy::FromBytes;

    use super::ScaleMin;

    #[test]
    fn all_sixteen_numbers_come_back() {
        let scales = [63, 1, 42, 17, 55, 16, 15, 32];
        let minimums = [0, 62, 33, 5, 48, 63, 31, 21];
        let mut packed = [0; 12];
        for j in 0..4 {
            packed[j] = scales[j] | (scales[j + 4] >> 4) << 6;
            packed[j + 4] = minimums[j] | (minimums[j + 4] >> 4) << 6;
            packed[j + 8] = (scales[j + 4] & 15) | (minimums[j + 4] & 15) << 4;
        }

        let (unpacked_scales, unpacked_minimums) = ScaleMin::read_from_bytes(&packed).unwrap().unpack();

        assert_eq!(unpacked_scales.as_flattened(), scales);
        assert_eq!(unpacked_minimums.as_flattened(), minimums);
    }
}
