use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{drive, grid, grids};
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq3Xxs {
    d: U16,
    indices: [[[u8; 4]; 2]; 8],
    /// Four times seven signs from the lowest bit up, and a scale in the upper four.
    signs_and_scales: [U32; 8],
}

impl Block for Iq3Xxs {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[V; LANES]; 2]; 8]| {
            let d = simd.widen_one(block.d.get());
            for ((indices, signs_and_scale), out) in block.indices.iter().zip(block.signs_and_scales).zip(out)
            {
                let mut signs = signs_and_scale.get();
                let scale = d * (0.5 + f32::from((signs >> 28) as u8)) * 0.5;
                for (indices, out) in indices.iter().zip(out) {
                    let magnitudes = grid::four(&grids::IQ3_XXS, indices.map(u16::from));
                    let codes = grid::signed(magnitudes, [signs, signs >> 7].map(grid::even_signs));
                    *out = V::from_singles(simd, simd.decode(codes, scale, 0.0));
                    signs >>= 14;
                }
            }
        });
    }
}
