use zerocopy::little_endian::{F32, U16};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, Codes, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q8K {
    d: F32,
    codes: [Codes; 256 / LANES],
    /// The sums of the codes of each vector, for products of vectors; no part of the values.
    _sums: [U16; 256 / LANES],
}

impl Block for Q8K {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 256 / LANES]| {
            let d = block.d.get();
            for (codes, out) in block.codes.iter().zip(out) {
                *out = V::from_singles(simd, simd.decode(*codes, d, 0.0));
            }
        });
    }
}
