use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use super::iq4_nl::nibbles;
use crate::kernel::{Block, Codes, LANES, Simd, Value};

/// Twice the values of a float of four bits: sign, two of an exponent, one of a fraction (E2M1).
pub(super) const TWICE_E2M1: Codes = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Mxfp4 {
    exponent: u8,
    codes: [u8; LANES],
}

impl Block for Mxfp4 {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 2]| {
            nibbles(simd, &TWICE_E2M1, &block.codes, half_of_power(block.exponent), out);
        });
    }
}

/// 2 to the power of `exponent - 128`; the lowest two are subnormal.
#[inline(always)]
fn half_of_power(exponent: u8) -> f32 {
    let bits = u32::from(exponent);
    f32::from_bits(if exponent < 2 { 0x0020_0000 << bits } else { (bits - 1) << 23 })
}
