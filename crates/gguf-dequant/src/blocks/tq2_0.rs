use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, TwoVectors};
use crate::kernel::{Block, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Tq2_0 {
    /// Per half of the block, quarter g in bits 2g and 2g + 1 of each byte.
    codes: [TwoVectors<u8>; 2],
    d: U16,
}

impl Block for Tq2_0 {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[TwoVectors<V>; 4]; 2]| {
            let d = simd.widen_one(block.d.get());
            for (codes, [out0, out1, out2, out3]) in block.codes.iter().zip(out) {
                quarter::<0, S, V>(simd, codes, d, out0);
                quarter::<2, S, V>(simd, codes, d, out1);
                quarter::<4, S, V>(simd, codes, d, out2);
                quarter::<6, S, V>(simd, codes, d, out3);
            }
        });
    }
}

/// The shift is a constant of the type: whole vectors are then shifted by an immediate.
#[inline(always)]
fn quarter<const SHIFT: u32, S: Simd, V: Value>(
    simd: S,
    codes: &TwoVectors<u8>,
    d: f32,
    out: &mut TwoVectors<V>,
) {
    for (bytes, out) in codes.iter().zip(out) {
        let codes = map_lanes(bytes, |byte| (byte >> SHIFT & 3).cast_signed() - 1);
        *out = V::from_singles(simd, simd.decode(codes, d, 0.0));
    }
}
