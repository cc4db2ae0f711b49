use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q4_1 {
    d: U16,
    m: U16,
    codes: [u8; LANES],
}

impl Block for Q4_1 {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, [low_out, high_out]: &mut [[V; LANES]; 2]| {
            let d = simd.widen_one(block.d.get());
            let minimum = -simd.widen_one(block.m.get());
            let low = map_lanes(&block.codes, |byte| (byte & 15).cast_signed());
            let high = map_lanes(&block.codes, |byte| (byte >> 4).cast_signed());
            *low_out = V::from_singles(simd, simd.decode(low, d, minimum));
            *high_out = V::from_singles(simd, simd.decode(high, d, minimum));
        });
    }
}
