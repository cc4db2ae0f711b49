use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, Simd, Value, map_lanes};

#[derive(Clone, Copy, FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Bf16 {
    bits: U16,
}

impl Block for Bf16 {
    const ELEMENTS: usize = 1;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::elements(blocks, out, |vector| {
            V::from_bfloats(simd, map_lanes(vector, |upper| upper.bits.get()))
        });
    }
}
