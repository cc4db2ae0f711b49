use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q4_0 {
    d: U16,
    codes: [u8; LANES],
}

impl Block for Q4_0 {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, [low_out, high_out]: &mut [[V; LANES]; 2]| {
            let d = simd.widen_one(block.d.get());
            let low = map_lanes(&block.codes, |byte| (byte & 15).cast_signed() - 8);
            let high = map_lanes(&block.codes, |byte| (byte >> 4).cast_signed() - 8);
            *low_out = V::from_singles(simd, simd.decode(low, d, 0.0));
            *high_out = V::from_singles(simd, simd.decode(high, d, 0.0));
        });
    }
}
