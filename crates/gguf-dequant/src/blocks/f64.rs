use zerocopy::little_endian::F64 as LittleEndian;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, Element};
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct F64 {
    value: LittleEndian,
}

impl Block for F64 {
    const ELEMENTS: usize = 1;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::elements(simd, blocks, out);
    }
}

impl Element for F64 {
    #[inline(always)]
    fn values<S: Simd, V: Value>(simd: S, vector: &[Self; LANES]) -> [V; LANES] {
        V::from_singles(simd, map_lanes(vector, |double| double.value.get() as f32))
    }
}
