use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{drive, grid, grids};
use crate::kernel::{Block, LANES, Simd, Value};

/// 32 values.
#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Group {
    indices: [[u8; 2]; 2],
    /// Four times seven signs from the lowest bit up, and a scale in the upper four.
    signs_and_scale: U32,
}

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq2Xxs {
    d: U16,
    groups: [Group; 8],
}

impl Block for Iq2Xxs {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[V; LANES]; 2]; 8]| {
            let d = simd.widen_one(block.d.get());
            for (group, out) in block.groups.iter().zip(out) {
                let mut signs = group.signs_and_scale.get();
                let scale = grid::scale_of_two_bits(d, (signs >> 28) as u8);
                for (indices, out) in group.indices.iter().zip(out) {
                    let magnitudes = grid::pair(&grids::IQ2_XXS, indices.map(u16::from));
                    let codes = grid::signed(magnitudes, [signs, signs >> 7].map(grid::even_signs));
                    *out = V::from_singles(simd, simd.decode(codes, scale, 0.0));
                    signs >>= 14;
                }
            }
        });
    }
}
