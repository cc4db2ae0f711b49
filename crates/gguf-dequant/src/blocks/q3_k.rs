use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, transmute};

use super::drive::{self, TwoVectors};
use crate::kernel::{Block, Simd, Value, zip_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q3K {
    /// The third bit of the codes: quarter g of half h has bit 4h + g of each byte.
    high_bits: TwoVectors<u8>,
    /// Per half of the block, quarter g in bits 2g and 2g + 1 of each byte.
    low_bits: [TwoVectors<u8>; 2],
    /// The low nibbles of sixteen scales: four in the low nibbles of the first word, four in those of the second, then the
    /// high nibbles alike. The third word has their upper bits, two for each, four of a kind in each two bits of its bytes.
    scales: [U32; 3],
    d: U16,
}

impl Q3K {
    /// A scale of 6 bits for each sub-block, less 32.
    #[inline(always)]
    fn scales(&self) -> [[[i8; 2]; 4]; 2] {
        let [first, second, upper] = self.scales.map(U32::get);
        let scales = |lower: u32, upper: u32| {
            ((lower & 0x0F0F_0F0F) | (upper & 0x0303_0303) << 4)
                .to_le_bytes()
                .map(|scale| scale.cast_signed() - 32)
        };
        transmute!([
            scales(first, upper),
            scales(second, upper >> 2),
            scales(first >> 4, upper >> 4),
            scales(second >> 4, upper >> 6)
        ])
    }
}

impl Block for Q3K {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, [first_out, last_out]: &mut [[TwoVectors<V>; 4]; 2]| {
            let d = simd.widen_one(block.d.get());
            let [first, last] = &block.low_bits;
            let [[scales0, scales1, scales2, scales3], [scales4, scales5, scales6, scales7]] = block.scales();
            let [out0, out1, out2, out3] = first_out;
            quarter::<0, 0, S, V>(simd, first, &block.high_bits, d, scales0, out0);
            quarter::<2, 1, S, V>(simd, first, &block.high_bits, d, scales1, out1);
            quarter::<4, 2, S, V>(simd, first, &block.high_bits, d, scales2, out2);
            quarter::<6, 3, S, V>(simd, first, &block.high_bits, d, scales3, out3);
            let [out4, out5, out6, out7] = last_out;
            quarter::<0, 4, S, V>(simd, last, &block.high_bits, d, scales4, out4);
            quarter::<2, 5, S, V>(simd, last, &block.high_bits, d, scales5, out5);
            quarter::<4, 6, S, V>(simd, last, &block.high_bits, d, scales6, out6);
            quarter::<6, 7, S, V>(simd, last, &block.high_bits, d, scales7, out7);
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
    scales: [i8; 2],
    out: &mut TwoVectors<V>,
) {
    for (((low_bits, high_bits), scale), out) in low_bits.iter().zip(high_bits).zip(scales).zip(out) {
        let codes = zip_lanes(low_bits, high_bits, |low, high| {
            let code = (low >> LOW_SHIFT & 3) | (high >> HIGH_SHIFT & 1) << 2;
            code.cast_signed() - 4
        });
        *out = V::from_singles(simd, simd.decode(codes, d * f32::from(scale), 0.0));
    }
}
