use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::{drive, grid, grids};
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq2Xs {
    d: U16,
    /// An index in the lower nine bits, seven signs above.
    entries: [[[U16; 2]; 2]; 8],
    /// Two a byte, each of 16 values.
    scales: [u8; 8],
}

impl Block for Iq2Xs {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[V; LANES]; 2]; 8]| {
            let d = simd.widen_one(block.d.get());
            for ((entries, scales), out) in block.entries.iter().zip(block.scales).zip(out) {
                for ((entries, scale), out) in entries.iter().zip([scales & 15, scales >> 4]).zip(out) {
                    let entries = entries.map(U16::get);
                    let magnitudes = grid::pair(&grids::IQ2_XS, entries);
                    let codes = grid::signed(
                        magnitudes,
                        entries.map(|entry| grid::even_signs(u32::from(entry >> 9))),
                    );
                    let scale = grid::scale_of_two_bits(d, scale);
                    *out = V::from_singles(simd, simd.decode(codes, scale, 0.0));
                }
            }
        });
    }
}
