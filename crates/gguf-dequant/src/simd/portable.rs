//! Plain Rust, for processors without a set of their own here: the compiler's baseline vectors.

use crate::kernel::{Block, Codes, Halves, LANES, Simd, Singles, Task, Value, map_lanes};

/// The portable set; every machine has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Portable;

impl Simd for Portable {
    const NAME: &str = "portable";

    #[inline(never)]
    fn convert<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]) {
        // Two kernels fewer for each format of blocks, a tenth of what a program that converts is large, on processors that have
        // better ones. What is one value, and so may be the result as it is, is not computed.
        if B::ELEMENTS > 1 && !V::IS_SINGLE {
            by_singles(self, blocks, out);
        } else {
            B::write(self, blocks, out);
        }
    }

    fn run<T: Task>(self, task: T) -> T::Out {
        task.run(self)
    }

    #[allow(clippy::indexing_slicing, reason = "an index is below the length")]
    #[inline(always)]
    fn look_up(self, table: &Codes, indices: [u8; LANES]) -> Codes {
        map_lanes(&indices, |index| table[usize::from(index) & (LANES - 1)])
    }

    #[inline(always)]
    fn decode(self, codes: Codes, scale: f32, minimum: f32) -> Singles {
        map_lanes(&codes, |code| scale * f32::from(code) - minimum)
    }

    #[inline(always)]
    fn widen(self, halves: Halves) -> Singles {
        map_lanes(&halves, widen)
    }

    #[inline(always)]
    fn narrow(self, singles: Singles) -> Halves {
        map_lanes(&singles, narrow)
    }

    #[inline(always)]
    fn widen_one(self, half: u16) -> f32 {
        widen(half)
    }
}

/// How many singles are made at a time.
const RUN: usize = 256;

/// Converts by way of singles: they are what a kernel computes, so the values are the same.
#[inline(always)]
fn by_singles<B: Block, V: Value>(simd: Portable, blocks: &[B], out: &mut [V]) {
    const { assert!(RUN.is_multiple_of(B::ELEMENTS) && B::ELEMENTS.is_multiple_of(LANES) || B::ELEMENTS == 1) };
    let mut singles = [0.0; RUN];
    for (run, values) in blocks.chunks(RUN / B::ELEMENTS).zip(out.chunks_mut(RUN)) {
        let Some(singles) = singles.get_mut(..run.len() * B::ELEMENTS) else { return };
        simd.convert(run, singles);
        narrow_all(simd, singles, values);
    }
}

/// Makes values of singles, as many as there are.
#[inline(never)]
fn narrow_all<V: Value>(simd: Portable, singles: &[f32], values: &mut [V]) {
    for (singles, values) in singles.as_chunks::<LANES>().0.iter().zip(values.as_chunks_mut::<LANES>().0) {
        *values = V::from_singles(simd, *singles);
    }
}

/// A single has 13 more fraction bits than a half, and its exponent's bias is 112 higher.
const FRACTION_SHIFT: u32 = 13;
const BIAS_DIFFERENCE: u32 = 112;

const HALF_SIGN: u16 = 0x8000;
const HALF_INFINITY: u16 = 0x7C00;
const HALF_QUIET: u16 = 0x0200;
const HALF_MIN_NORMAL: u16 = 0x0400;
const HALF_FRACTION: u32 = 0x03FF;

const SINGLE_SIGN: u32 = 0x8000_0000;
const SINGLE_INFINITY: u32 = 0x7F80_0000;
const SINGLE_QUIET: u32 = 0x0040_0000;

/// The first single that rounds to infinity: halfway from the greatest half to what would follow it.
const OVERFLOW: u32 = 65520.0_f32.to_bits();
/// The least normal half, 2^-14.
const MIN_NORMAL: u32 = (BIAS_DIFFERENCE + 1) << 23;
/// The distance of subnormal halves.
const SUBNORMAL_STEP: f32 = 1.0 / 16_777_216.0;
/// A number whose neighbours are one `SUBNORMAL_STEP` away: adding it rounds to a whole number of steps.
const SUBNORMAL_ROUNDER: f32 = 0.5;

// Both conversions compute every case and select at the end: branches would keep them out of vectors.

#[inline(always)]
fn widen(half: u16) -> f32 {
    let sign = u32::from(half & HALF_SIGN) << 16;
    let magnitude = half & !HALF_SIGN;
    let shifted = u32::from(magnitude) << FRACTION_SHIFT;

    let normal = shifted + (BIAS_DIFFERENCE << 23);
    let subnormal = (f32::from(magnitude) * SUBNORMAL_STEP).to_bits();
    let special = shifted | SINGLE_INFINITY | if magnitude > HALF_INFINITY { SINGLE_QUIET } else { 0 };

    let bits = if magnitude < HALF_MIN_NORMAL { subnormal } else { normal };
    let bits = if magnitude >= HALF_INFINITY { special } else { bits };
    f32::from_bits(sign | bits)
}

#[inline(always)]
fn narrow(single: f32) -> u16 {
    let bits = single.to_bits();
    let sign = (bits >> 16) as u16 & HALF_SIGN;
    let magnitude = bits & !SINGLE_SIGN;
    let kept = magnitude >> FRACTION_SHIFT;

    // Just under half a unit, and the rest of it where the kept part is odd: ties go to even.
    let rounded = magnitude.wrapping_add(0x0FFF + (kept & 1)) >> FRACTION_SHIFT;
    let normal = rounded.wrapping_sub(BIAS_DIFFERENCE << 10);
    let subnormal =
        (f32::from_bits(magnitude) + SUBNORMAL_ROUNDER).to_bits().wrapping_sub(SUBNORMAL_ROUNDER.to_bits());
    let nan = u32::from(HALF_INFINITY | HALF_QUIET) | (kept & HALF_FRACTION);

    let half = if magnitude < MIN_NORMAL { subnormal } else { normal };
    let half = if magnitude >= OVERFLOW { u32::from(HALF_INFINITY) } else { half };
    let half = if magnitude > SINGLE_INFINITY { nan } else { half };
    sign | half as u16
}
