use zerocopy::little_endian::F64 as LittleEndian;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, Simd, Value, map_lanes};

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct F64 {
    value: LittleEndian,
}

impl Block for F64 {
    const ELEMENTS: usize = 1;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::elements(blocks, out, |vector| {
            V::from_singles(simd, map_lanes(vector, |double| double.value.get() as f32))
        });
    }
}
