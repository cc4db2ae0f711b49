use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{bits, drive};
use crate::kernel::{Block, Codes, LANES, Simd, Value, map_lanes, zip_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q5_0 {
    d: U16,
    /// The fifth bit of each code, the lowest one first.
    high_bits: [[u8; 2]; 2],
    low_bits: [u8; LANES],
}

impl Block for Q5_0 {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, [low_out, high_out]: &mut [[V; LANES]; 2]| {
            let d = simd.widen_one(block.d.get());
            let [low_high, high_high] = block.high_bits.map(|[first, last]| bits::masks(first, last));
            let low = map_lanes(&block.low_bits, |byte| byte & 15);
            let high = map_lanes(&block.low_bits, |byte| byte >> 4);
            let codes = |nibbles, masks| map_lanes(&with_fifth_bits(nibbles, masks), |code| code - 16);
            *low_out = V::from_singles(simd, simd.decode(codes(&low, &low_high), d, 0.0));
            *high_out = V::from_singles(simd, simd.decode(codes(&high, &high_high), d, 0.0));
        });
    }
}

/// The nibbles with their fifth bits, which are set where the mask is.
#[inline(always)]
pub(super) fn with_fifth_bits(nibbles: &[u8; LANES], masks: &[u8; LANES]) -> Codes {
    map_lanes(&zip_lanes(nibbles, masks, |nibble, mask| nibble | (mask & 16)), u8::cast_signed)
}
