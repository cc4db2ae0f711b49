use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, TwoVectors};
use super::scale_min::ScaleMin;
use crate::kernel::{Block, Simd, Value, zip_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q5K {
    d: U16,
    dmin: U16,
    scale_min: ScaleMin,
    /// The fifth bit of the codes: sub-block s has bit s of each byte.
    high_bits: TwoVectors<u8>,
    /// The even sub-block of a pair in the low nibbles, the odd one in the high nibbles.
    pairs: [TwoVectors<u8>; 4],
}

impl Block for Q5K {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[TwoVectors<V>; 2]; 4]| {
            let d = simd.widen_one(block.d.get());
            let dmin = simd.widen_one(block.dmin.get());
            let (scales, minimums) = block.scale_min.unpack();
            let scales = scales.map(|pair| pair.map(|scale| d * f32::from(scale)));
            let minimums = minimums.map(|pair| pair.map(|minimum| dmin * f32::from(minimum)));
            let [scales0, scales1, scales2, scales3] = scales;
            let [minimums0, minimums1, minimums2, minimums3] = minimums;
            let [bytes0, bytes1, bytes2, bytes3] = &block.pairs;
            let [out0, out1, out2, out3] = out;
            pair::<0, 1, S, V>(simd, bytes0, &block.high_bits, scales0, minimums0, out0);
            pair::<2, 3, S, V>(simd, bytes1, &block.high_bits, scales1, minimums1, out1);
            pair::<4, 5, S, V>(simd, bytes2, &block.high_bits, scales2, minimums2, out2);
            pair::<6, 7, S, V>(simd, bytes3, &block.high_bits, scales3, minimums3, out3);
        });
    }
}

#[inline(always)]
fn pair<const EVEN: u32, const ODD: u32, S: Simd, V: Value>(
    simd: S,
    bytes: &TwoVectors<u8>,
    high_bits: &TwoVectors<u8>,
    [even_scale, odd_scale]: [f32; 2],
    [even_minimum, odd_minimum]: [f32; 2],
    [even_out, odd_out]: &mut [TwoVectors<V>; 2],
) {
    sub_block::<0, EVEN, S, V>(simd, bytes, high_bits, even_scale, even_minimum, even_out);
    sub_block::<4, ODD, S, V>(simd, bytes, high_bits, odd_scale, odd_minimum, odd_out);
}

/// The shifts are constants of the type: whole vectors are then shifted by an immediate.
#[inline(always)]
fn sub_block<const LOW_SHIFT: u32, const HIGH_SHIFT: u32, S: Simd, V: Value>(
    simd: S,
    bytes: &TwoVectors<u8>,
    high_bits: &TwoVectors<u8>,
    scale: f32,
    minimum: f32,
    out: &mut TwoVectors<V>,
) {
    for ((bytes, high_bits), out) in bytes.iter().zip(high_bits).zip(out) {
        let codes = zip_lanes(bytes, high_bits, |low, high| {
            ((low >> LOW_SHIFT & 15) | (high >> HIGH_SHIFT & 1) << 4).cast_signed()
        });
        *out = V::from_singles(simd, simd.decode(codes, scale, minimum));
    }
}
