//! The block formats, one file each: the layout as a struct, the kernel as its [`Block::write`].

pub(crate) mod bf16;
mod drive;
pub(crate) mod f16;
pub(crate) mod f32;
pub(crate) mod q4_0;
pub(crate) mod q4_k;
pub(crate) mod q6_k;
pub(crate) mod q8_0;
mod scale_min;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use crate::simd::Simd;
use crate::value::Value;

/// One block as it lies in a file: byte arrays only, so that any address will do.
pub(crate) trait Block: FromBytes + Immutable + KnownLayout + Unaligned {
    /// How many values one block makes.
    const ELEMENTS: usize;

    /// Writes the values of `blocks` to `out`, which is exactly as long as they are.
    ///
    /// An implementation is `#[inline(always)]` and works on vectors, by [`drive::blocks`] or [`drive::elements`].
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V])
    where
        Self: Sized;
}
