use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{bits, drive};
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q2_0 {
    d: U16,
    codes: [[u8; 4]; 4],
}

impl Block for Q2_0 {
    const ELEMENTS: usize = 64;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 4]| {
            let d = simd.widen_one(block.d.get());
            for (bytes, out) in block.codes.iter().zip(out) {
                let codes = map_lanes(&bits::quarters(*bytes), |code| code.cast_signed() - 1);
                *out = V::from_singles(simd, simd.decode(codes, d, 0.0));
            }
        });
    }
}
