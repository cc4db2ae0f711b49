//! The block formats of GGUF tensors to `f32`, `f16` and `bf16`.
//!
//! Three pure functions over slices do the work: [`to_f32`], [`to_f16`] and [`to_bf16`]. They take the bytes of whole blocks as
//! they lie in a file, at any alignment and always little-endian, whatever the host is. [`first_non_finite`] finds the block
//! that a NaN or an infinite scale has spoilt. Nothing is allocated and no thread is started.
//!
//! ```
//! use gguf_dequant::{Format, to_f32};
//!
//! // One Q8_0 block: the scale 0.5 as a half, then 32 signed bytes.
//! let mut block = vec![0x00, 0x38];
//! block.extend((0..32).map(|code| code as u8));
//!
//! let mut values = [0.0; 32];
//! to_f32(Format::Q8_0, &block, &mut values)?;
//! assert_eq!(values[31], 15.5);
//! # Ok::<(), gguf_dequant::Error>(())
//! ```
//!
//! # Exactness
//!
//! Every value equals, bit for bit, what the `gguf` package of `PyPI` (0.19.0, itself equal to ggml's C code)
//! computes from the same block, on every instruction set; so do those of `Q8_K`, `Q1_0` and `Q2_0`, which that package does not
//! know, with ggml's C code. `Q8_1` and `F64` are not in either, and follow their layouts. No multiplication is fused with an addition, since that
//! would round differently. Where a block makes a NaN it is a NaN on every machine, but its sign and payload are
//! the processor's. Subnormal scales count in full; a process that has set its processor to flush subnormals to
//! zero gets flushed results.
//!
//! [`to_f16`] rounds the `f32` value to the nearest half, ties to even. From 65520 up that is infinity, as in IEEE
//! 754; F16 data is copied as it is. [`to_bf16`] rounds to the nearest `bf16` alike, and copies BF16 data.
//!
//! # Speed
//!
//! Each format has one kernel, written so that the compiler vectorises it, and compiled once per instruction set:
//! AVX2 with F16C, NEON, and a portable one. The best that the processor has is chosen at run time, at each call,
//! from the feature bits the standard library caches; [`instruction_set`] names it.
//!
//! With AVX2, an output of 16 MiB or more in one call is written past the caches, in whole lines and with a fence behind them: a
//! plain store would first read each line. A smaller output is in the cache when the call returns.

// A kernel runs on an instruction set only when it is inlined into the function that enables the set.
#![allow(clippy::inline_always)]

mod blocks;
mod dequantize;
mod error;
mod format;
mod kernel;
mod non_finite;
mod simd;
mod stream;
mod value;

pub use dequantize::{instruction_set, to_bf16, to_f16, to_f32};
pub use error::Error;
pub use format::Format;
pub use non_finite::first_non_finite;
#[doc(hidden)] // For tests and measurements that compare the sets of one machine.
pub use simd::InstructionSet;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
