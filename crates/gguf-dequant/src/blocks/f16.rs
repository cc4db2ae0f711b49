use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, Element};
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct F16 {
    bits: U16,
}

impl Block for F16 {
    const ELEMENTS: usize = 1;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::elements(simd, blocks, out);
    }
}

impl Element for F16 {
    #[inline(always)]
    fn values<S: Simd, V: Value>(simd: S, vector: &[Self; LANES]) -> [V; LANES] {
        V::from_halves(simd, map_lanes(vector, |half| half.bits.get()))
    }
}
