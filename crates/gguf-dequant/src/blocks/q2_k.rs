use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, TwoVectors};
use crate::kernel::{Block, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q2K {
    /// A scale in the low nibble, a minimum in the high one, for each sub-block.
    scales: [[[u8; 2]; 4]; 2],
    /// Per half of the block, quarter g in bits 2g and 2g + 1 of each byte.
    codes: [TwoVectors<u8>; 2],
    d: U16,
    dmin: U16,
}

impl Block for Q2K {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[TwoVectors<V>; 4]; 2]| {
            let d = simd.widen_one(block.d.get());
            let dmin = simd.widen_one(block.dmin.get());
            let halves = block.codes.iter().zip(&block.scales).zip(out);
            for ((codes, [scales0, scales1, scales2, scales3]), [out0, out1, out2, out3]) in halves {
                quarter::<0, S, V>(simd, codes, [d, dmin], scales0, out0);
                quarter::<2, S, V>(simd, codes, [d, dmin], scales1, out1);
                quarter::<4, S, V>(simd, codes, [d, dmin], scales2, out2);
                quarter::<6, S, V>(simd, codes, [d, dmin], scales3, out3);
            }
        });
    }
}

/// The shift is a constant of the type: whole vectors are then shifted by an immediate.
#[inline(always)]
fn quarter<const SHIFT: u32, S: Simd, V: Value>(
    simd: S,
    codes: &TwoVectors<u8>,
    [d, dmin]: [f32; 2],
    scales: &[u8; 2],
    out: &mut TwoVectors<V>,
) {
    for ((bytes, scale), out) in codes.iter().zip(scales).zip(out) {
        let codes = map_lanes(bytes, |byte| (byte >> SHIFT & 3).cast_signed());
        let (scale, minimum) = (d * f32::from(scale & 15), dmin * f32::from(scale >> 4));
        *out = V::from_singles(simd, simd.decode(codes, scale, minimum));
    }
}
