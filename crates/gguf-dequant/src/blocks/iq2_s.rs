use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{drive, grid, grids};
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq2S {
    d: U16,
    indices: [[[u8; 2]; 2]; 8],
    signs: [[[u8; 2]; 2]; 8],
    /// Bits 8 and 9 of four indices a byte.
    high_bits: [u8; 8],
    /// Two a byte, each of 16 values.
    scales: [u8; 8],
}

impl Block for Iq2S {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[V; LANES]; 2]; 8]| {
            let d = simd.widen_one(block.d.get());
            let groups =
                block.indices.iter().zip(&block.signs).zip(block.high_bits).zip(block.scales).zip(out);
            for ((((indices, signs), high_bits), scales), out) in groups {
                let halves = indices
                    .iter()
                    .zip(signs)
                    .zip([high_bits, high_bits >> 4])
                    .zip([scales & 15, scales >> 4])
                    .zip(out);
                for (((([first, last], signs), high_bits), scale), out) in halves {
                    let high_bits = u16::from(high_bits);
                    let indices =
                        [grid::index(*first, high_bits & 3), grid::index(*last, high_bits >> 2 & 3)];
                    let codes = grid::signed(grid::pair(&grids::IQ2_S, indices), *signs);
                    let scale = grid::scale_of_two_bits(d, scale);
                    *out = V::from_singles(simd, simd.decode(codes, scale, 0.0));
                }
            }
        });
    }
}
