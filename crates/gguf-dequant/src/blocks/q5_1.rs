use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::q5_0::with_fifth_bits;
use super::{bits, drive};
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q5_1 {
    d: U16,
    m: U16,
    /// The fifth bit of each code, the lowest one first.
    high_bits: [[u8; 2]; 2],
    low_bits: [u8; LANES],
}

impl Block for Q5_1 {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, [low_out, high_out]: &mut [[V; LANES]; 2]| {
            let d = simd.widen_one(block.d.get());
            let minimum = -simd.widen_one(block.m.get());
            let [low_high, high_high] = block.high_bits.map(|[first, last]| bits::masks(first, last));
            let low = map_lanes(&block.low_bits, |byte| byte & 15);
            let high = map_lanes(&block.low_bits, |byte| byte >> 4);
            *low_out = V::from_singles(simd, simd.decode(with_fifth_bits(&low, &low_high), d, minimum));
            *high_out = V::from_singles(simd, simd.decode(with_fifth_bits(&high, &high_high), d, minimum));
        });
    }
}
