use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{bits, drive};
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q1_0 {
    d: U16,
    /// A set bit is d, a clear one -d.
    signs: [[u8; 2]; 8],
}

impl Block for Q1_0 {
    const ELEMENTS: usize = 128;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 8]| {
            let d = simd.widen_one(block.d.get());
            for ([first, last], out) in block.signs.iter().zip(out) {
                let codes = map_lanes(&bits::masks(*first, *last), |mask| (mask & 2).cast_signed() - 1);
                *out = V::from_singles(simd, simd.decode(codes, d, 0.0));
            }
        });
    }
}
