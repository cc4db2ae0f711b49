//! AVX2 with F16C: most x86-64 processors since Intel's Haswell (2013) and AMD's Excavator (2015).

// Functions that use an instruction set may be called only where it exists, which the compiler cannot know.
#![allow(unsafe_code)]

use std::arch::is_x86_feature_detected;
use std::arch::x86_64::{
    __m128i, __m256, __m256i, _MM_FROUND_TO_NEAREST_INT, _mm_cvtph_ps, _mm_cvtsi32_si128, _mm_cvtss_f32,
    _mm_sfence, _mm_shuffle_epi8, _mm_unpackhi_epi64, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtph_ps, _mm256_cvtps_ph, _mm256_mul_ps, _mm256_set1_ps, _mm256_stream_si256, _mm256_sub_ps,
};

use zerocopy::transmute;

use crate::kernel::{Block, Codes, Halves, LANES, Line, Simd, Singles, Task, Value};

/// Proof that AVX2 and F16C were detected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("f16c")).then_some(Self(()))
    }
}

impl Simd for Avx2 {
    const NAME: &str = "avx2+f16c";

    #[inline(always)]
    fn convert<B: Block, V: Value>(self, blocks: &[B], out: &mut [V]) {
        // SAFETY: `self` exists only where `detect` found both features.
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

    #[inline(always)]
    fn decode(self, codes: Codes, scale: f32, minimum: f32) -> Singles {
        // SAFETY: as in `convert`.
        unsafe { decode(codes, scale, minimum) }
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
        // SAFETY: as in `convert`.
        unsafe { widen_one(half) }
    }

    #[inline(always)]
    fn stream(self, line: &Line, to: &mut Line) {
        // SAFETY: as in `convert`.
        unsafe { stream(line, to) }
    }

    #[inline(always)]
    fn fence(self) {
        // SAFETY: as in `convert`.
        unsafe { _mm_sfence() };
    }
}

#[inline(never)]
#[target_feature(enable = "avx2,f16c")]
fn convert<B: Block, V: Value>(simd: Avx2, blocks: &[B], out: &mut [V]) {
    B::write(simd, blocks, out);
}

#[target_feature(enable = "avx2,f16c")]
fn run<T: Task>(simd: Avx2, task: T) -> T::Out {
    task.run(simd)
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn look_up(table: &Codes, indices: [u8; LANES]) -> Codes {
    let (table, indices): (__m128i, __m128i) = (transmute!(*table), transmute!(indices));
    transmute!(_mm_shuffle_epi8(table, indices))
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn decode(codes: Codes, scale: f32, minimum: f32) -> Singles {
    let (scale, minimum) = (_mm256_set1_ps(scale), _mm256_set1_ps(minimum));
    let affine = |codes: __m256i| _mm256_sub_ps(_mm256_mul_ps(scale, _mm256_cvtepi32_ps(codes)), minimum);
    let codes: __m128i = transmute!(codes);
    let first: __m256 = affine(_mm256_cvtepi8_epi32(codes));
    let last: __m256 = affine(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(codes, codes)));
    transmute!([first, last])
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn widen(halves: Halves) -> Singles {
    let [first, last]: [__m128i; 2] = transmute!(halves);
    let singles: [__m256; 2] = [_mm256_cvtph_ps(first), _mm256_cvtph_ps(last)];
    transmute!(singles)
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn narrow(singles: Singles) -> Halves {
    const ROUNDING: i32 = _MM_FROUND_TO_NEAREST_INT;
    let [first, last]: [__m256; 2] = transmute!(singles);
    let halves: [__m128i; 2] = [_mm256_cvtps_ph::<ROUNDING>(first), _mm256_cvtps_ph::<ROUNDING>(last)];
    transmute!(halves)
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn widen_one(half: u16) -> f32 {
    _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(i32::from(half))))
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn stream(line: &Line, to: &mut Line) {
    let halves: [__m256i; 2] = transmute!(line.0);
    let to: *mut __m256i = (&raw mut *to).cast();
    for (place, half) in halves.into_iter().enumerate() {
        // SAFETY: both halves lie in the line, which is aligned to more than a vector; nobody else has it, and whoever
        // streams puts a fence behind it.
        unsafe { _mm256_stream_si256(to.add(place), half) };
    }
}
