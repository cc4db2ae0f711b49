use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use super::iq4_nl::{VALUES, nibbles};
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq4Xs {
    d: U16,
    /// Bits 4 and 5 of the scales, the first sub-block in the lowest bits.
    scales_high: U16,
    /// Bits 0 to 3 of the scales, two sub-blocks a byte.
    scales_low: [u8; 4],
    codes: [[[u8; LANES]; 2]; 4],
}

impl Block for Iq4Xs {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[[V; LANES]; 2]; 2]; 4]| {
            let d = simd.widen_one(block.d.get());
            let mut high = block.scales_high.get();
            for ((low, codes), out) in block.scales_low.iter().zip(&block.codes).zip(out) {
                for ((low, codes), out) in [low & 15, low >> 4].into_iter().zip(codes).zip(out) {
                    let scale = f32::from(low | (high as u8 & 3) << 4) - 32.0;
                    nibbles(simd, &VALUES, codes, d * scale, out);
                    high >>= 2;
                }
            }
        });
    }
}
