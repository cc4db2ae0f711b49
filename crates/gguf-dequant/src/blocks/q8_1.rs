use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, Codes, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q8_1 {
    d: U16,
    /// d times the sum of the codes, for products of vectors; no part of the values.
    _sum: U16,
    codes: [Codes; 2],
}

impl Block for Q8_1 {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 2]| {
            let d = simd.widen_one(block.d.get());
            for (codes, out) in block.codes.iter().zip(out) {
                *out = V::from_singles(simd, simd.decode(*codes, d, 0.0));
            }
        });
    }
}
