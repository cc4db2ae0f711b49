use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, Element};
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct F32 {
    bits: U32,
}

impl Block for F32 {
    const ELEMENTS: usize = 1;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::elements(simd, blocks, out);
    }
}

impl Element for F32 {
    #[inline(always)]
    fn values<S: Simd, V: Value>(simd: S, vector: &[Self; LANES]) -> [V; LANES] {
        V::from_singles(simd, map_lanes(vector, |single| f32::from_bits(single.bits.get())))
    }
}
