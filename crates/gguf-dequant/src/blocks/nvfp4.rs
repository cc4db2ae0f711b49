use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, transmute};

use super::drive;
use super::mxfp4::TWICE_E2M1;
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Nvfp4 {
    scales: [u8; 4],
    codes: [[u8; 8]; 4],
}

impl Block for Nvfp4 {
    const ELEMENTS: usize = 64;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 4]| {
            for ((scale, bytes), out) in block.scales.iter().zip(&block.codes).zip(out) {
                let indices: [u8; LANES] =
                    transmute!([bytes.map(|byte| byte & 15), bytes.map(|byte| byte >> 4)]);
                let codes = simd.look_up(&TWICE_E2M1, indices);
                *out = V::from_singles(simd, simd.decode(codes, half_of_scale(*scale), 0.0));
            }
        });
    }
}

/// Half of a float without a sign: four bits of an exponent with a bias of 7, three of a fraction (UE4M3). The top bit does not
/// count, but that 0x7F, which would be a NaN, is 0, and 0xFF is not.
#[inline(always)]
fn half_of_scale(bits: u8) -> f32 {
    const SUBNORMAL_STEP: f32 = 1.0 / 1024.0;
    const BIAS_DIFFERENCE: u32 = 127 - 7 - 1;
    let (exponent, fraction) = (u32::from(bits >> 3 & 15), u32::from(bits & 7));
    let normal = f32::from_bits((exponent + BIAS_DIFFERENCE) << 23 | fraction << 20);
    let scale = if exponent == 0 { f32::from(bits & 7) * SUBNORMAL_STEP } else { normal };
    if bits == 0x7F { 0.0 } else { scale }
}
