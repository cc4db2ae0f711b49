use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, TwoVectors};
use crate::kernel::{Block, Simd, Value, zip_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q6K {
    /// Per half of the block, bits 0 to 3 of a code: quarters 0 and 2 share the first 32 bytes, 1 and 3 the others.
    low_bits: [[TwoVectors<u8>; 2]; 2],
    /// Per half of the block, bits 4 and 5 of a code: quarter g has bits 2g and 2g + 1 of each byte.
    high_bits: [TwoVectors<u8>; 2],
    scales: [[[i8; 2]; 4]; 2],
    d: U16,
}

impl Block for Q6K {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[TwoVectors<V>; 4]; 2]| {
            let d = simd.widen_one(block.d.get());
            let halves = block.low_bits.iter().zip(&block.high_bits).zip(&block.scales).zip(out);
            for ((([even, odd], high), [scales0, scales1, scales2, scales3]), [out0, out1, out2, out3]) in
                halves
            {
                quarter::<0, 0, S, V>(simd, even, high, d, scales0, out0);
                quarter::<0, 2, S, V>(simd, odd, high, d, scales1, out1);
                quarter::<4, 4, S, V>(simd, even, high, d, scales2, out2);
                quarter::<4, 6, S, V>(simd, odd, high, d, scales3, out3);
            }
        });
    }
}

/// The shifts are constants of the type: whole vectors are then shifted by an immediate.
#[inline(always)]
fn quarter<const LOW_SHIFT: u32, const HIGH_SHIFT: u32, S: Simd, V: Value>(
    simd: S,
    low_bits: &TwoVectors<u8>,
    high_bits: &TwoVectors<u8>,
    d: f32,
    scales: &[i8; 2],
    out: &mut TwoVectors<V>,
) {
    for (((low_bits, high_bits), scale), out) in low_bits.iter().zip(high_bits).zip(scales).zip(out) {
        let codes = zip_lanes(low_bits, high_bits, |low, high| {
            let code = (low >> LOW_SHIFT & 0x0F) | (high >> HIGH_SHIFT & 0x03) << 4;
            code.cast_signed() - 32
        });
        *out = V::from_singles(simd, simd.decode(codes, d * f32::from(*scale), 0.0));
    }
}
