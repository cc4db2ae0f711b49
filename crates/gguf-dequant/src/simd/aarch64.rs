//! NEON: every 64-bit ARM processor that runs an operating system, Jetson Orin and RK3588 among them.

// Functions that use an instruction set may be called only where it exists, which the compiler cannot know.
#![allow(unsafe_code)]

use std::arch::aarch64::{
    float32x4_t, int8x16_t, uint8x16_t, uint16x4_t, vcvt_f16_f32, vcvt_f32_f16, vqtbl1q_s8,
    vreinterpret_f16_u16, vreinterpret_u16_f16,
};
use std::arch::is_aarch64_feature_detected;

use zerocopy::transmute;

use super::portable::Portable;
use crate::kernel::{Block, Codes, Halves, LANES, Simd, Singles, Task, Value};

/// Proof that NEON was detected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Neon(());

impl Neon {
    pub(crate) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl Simd for Neon {
    const NAME: &str = "neon";

    #[inline(always)]
    fn convert<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]) {
        // SAFETY: `self` exists only where `detect` found NEON.
        unsafe { convert(self, blocks, out) }
    }

    #[inline(always)]
    fn run<T: Task>(self, task: T) -> T::Out {
        // SAFETY: as in `convert`.
        unsafe { run(self, task) }
    }

    #[inline(always)]
    fn look_up(self, table: &Codes, indices: [u8; LANES]) -> Codes {
        // SAFETY: as in `convert`.
        unsafe { look_up(table, indices) }
    }

    // Vectors of four are this set's own, so what the compiler finds is what there is.
    #[inline(always)]
    fn decode(self, codes: Codes, scale: f32, minimum: f32) -> Singles {
        Portable.decode(codes, scale, minimum)
    }

    #[inline(always)]
    fn widen(self, halves: Halves) -> Singles {
        // SAFETY: as in `convert`.
        unsafe { widen(halves) }
    }

    #[inline(always)]
    fn narrow(self, singles: Singles) -> Halves {
        // SAFETY: as in `convert`.
        unsafe { narrow(singles) }
    }

    #[inline(always)]
    fn widen_one(self, half: u16) -> f32 {
        let [single, ..] = self.widen([half; LANES]);
        single
    }
}

#[inline(never)]
#[target_feature(enable = "neon")]
fn convert<B: Block, V: Value>(simd: Neon, blocks: &[B], out: &mut [V]) {
    B::write(simd, blocks, out);
}

#[target_feature(enable = "neon")]
fn run<T: Task>(simd: Neon, task: T) -> T::Out {
    task.run(simd)
}

#[inline]
#[target_feature(enable = "neon")]
fn look_up(table: &Codes, indices: [u8; LANES]) -> Codes {
    let (table, indices): (int8x16_t, uint8x16_t) = (transmute!(*table), transmute!(indices));
    transmute!(vqtbl1q_s8(table, indices))
}

#[inline]
#[target_feature(enable = "neon")]
fn widen(halves: Halves) -> Singles {
    let [a, b, c, d]: [uint16x4_t; 4] = transmute!(halves);
    let four = |halves: uint16x4_t| -> float32x4_t { vcvt_f32_f16(vreinterpret_f16_u16(halves)) };
    transmute!([four(a), four(b), four(c), four(d)])
}

#[inline]
#[target_feature(enable = "neon")]
fn narrow(singles: Singles) -> Halves {
    let [a, b, c, d]: [float32x4_t; 4] = transmute!(singles);
    let four = |singles: float32x4_t| -> uint16x4_t { vreinterpret_u16_f16(vcvt_f16_f32(singles)) };
    transmute!([four(a), four(b), four(c), four(d)])
}
