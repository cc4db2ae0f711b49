use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{drive, grid, grids};
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq3S {
    d: U16,
    indices: [[[[u8; 4]; 2]; 2]; 4],
    /// Bit 8 of eight indices a byte.
    high_bits: [[u8; 2]; 4],
    signs: [[[[u8; 2]; 2]; 2]; 4],
    /// Two a byte, each of 32 values.
    scales: [u8; 4],
}

impl Block for Iq3S {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[[V; LANES]; 2]; 2]; 4]| {
            let d = simd.widen_one(block.d.get());
            let pairs =
                block.indices.iter().zip(block.high_bits).zip(&block.signs).zip(block.scales).zip(out);
            for ((((indices, high_bits), signs), scales), out) in pairs {
                let groups =
                    indices.iter().zip(high_bits).zip(signs).zip([scales & 15, scales >> 4]).zip(out);
                for ((((indices, high_bits), signs), scale), out) in groups {
                    let scale = d * f32::from(1 + 2 * scale);
                    for (((indices, high_bits), signs), out) in
                        indices.iter().zip([high_bits, high_bits >> 4]).zip(signs).zip(out)
                    {
                        let magnitudes = grid::four(&grids::IQ3_S, with_high_bits(*indices, high_bits));
                        *out =
                            V::from_singles(simd, simd.decode(grid::signed(magnitudes, *signs), scale, 0.0));
                    }
                }
            }
        });
    }
}

#[inline(always)]
fn with_high_bits([a, b, c, d]: [u8; 4], bits: u8) -> [u16; 4] {
    let bit = |place: u32| u16::from(bits >> place & 1);
    [grid::index(a, bit(0)), grid::index(b, bit(1)), grid::index(c, bit(2)), grid::index(d, bit(3))]
}
