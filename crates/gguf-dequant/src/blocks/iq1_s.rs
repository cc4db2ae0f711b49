use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, transmute};

use super::{drive, grid, grids};
use crate::kernel::{Block, Codes, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq1S {
    d: U16,
    indices: [[[u8; 2]; 2]; 8],
    /// Bits 8 to 10 of four indices, a scale of three bits, and which way the values are shifted.
    high_bits: [U16; 8],
}

impl Block for Iq1S {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[V; LANES]; 2]; 8]| {
            let d = simd.widen_one(block.d.get());
            for ((indices, high_bits), out) in block.indices.iter().zip(block.high_bits).zip(out) {
                let bits = high_bits.get();
                let scale = eighth(d, bits >> 12);
                let up = bits & 0x8000 == 0;
                for (([first, last], bits), out) in indices.iter().zip([bits, bits >> 6]).zip(out) {
                    let indices = [grid::index(*first, bits & 7), grid::index(*last, bits >> 3 & 7)];
                    let codes = shifted(indices, [up; 2]);
                    *out = V::from_singles(simd, simd.decode(codes, scale, 0.0));
                }
            }
        });
    }
}

/// An eighth of the scale that three bits say: the codes are eighths. It is exact, and so are they.
#[inline(always)]
pub(super) fn eighth(d: f32, bits: u16) -> f32 {
    d * f32::from(2 * (bits & 7) + 1) * 0.125
}

/// The entries of both indices, an eighth up where that is said, else down. They are kept as eighths above what is least, so that
/// nothing is carried from one to the next.
#[inline(always)]
pub(super) fn shifted(indices: [u16; 2], up: [bool; 2]) -> Codes {
    const TWO: u64 = grid::in_each_byte(2);
    let [first, last] = grid::pair(&grids::IQ1, indices);
    let [first_up, last_up] = up.map(|up| if up { TWO } else { 0 });
    let eighths: [u8; LANES] = transmute!([first.wrapping_add(first_up), last.wrapping_add(last_up)]);
    map_lanes(&eighths, |eighths| eighths.cast_signed() - 9)
}
