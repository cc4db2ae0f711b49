//! The two loops that every kernel is the body of.

use zerocopy::{FromBytes, FromZeros, IntoBytes, KnownLayout};

use crate::kernel::{Block, LANES, Simd, Value};

/// 32 values: a sub-block, or a quarter of half a block.
pub(super) type TwoVectors<T> = [[T; LANES]; 2];

/// Runs `kernel` once for each block, with the block's values as arrays `A` of `V`, nested as the layout groups them.
#[inline(always)]
pub(super) fn blocks<B, V, A>(blocks: &[B], out: &mut [V], kernel: impl Fn(&B, &mut A))
where
    B: Block,
    V: Value,
    A: FromBytes + IntoBytes + KnownLayout,
{
    const { assert!(size_of::<A>() == B::ELEMENTS * size_of::<V>() && align_of::<A>() == align_of::<V>()) };
    // The output was measured against the blocks, so it is whole arrays.
    let Ok(out) = <[A]>::mut_from_bytes(out.as_mut_bytes()) else { return };
    for (block, out) in blocks.iter().zip(out) {
        kernel(block, out);
    }
}

/// A block that is one element.
pub(super) trait Element: Block + Copy {
    /// The values of so many. An implementation is `#[inline(always)]`, which a closure cannot be, and it is called twice.
    fn values<S: Simd, V: Value>(simd: S, vector: &[Self; LANES]) -> [V; LANES];
}

/// Makes the values a vector at a time, the last one filled up with zeros.
#[inline(always)]
pub(super) fn elements<B: Element, S: Simd, V: Value>(simd: S, blocks: &[B], out: &mut [V]) {
    const { assert!(B::ELEMENTS == 1) };
    let (vectors, tail) = blocks.as_chunks();
    let (out, tail_out) = out.as_chunks_mut();
    for (vector, out) in vectors.iter().zip(out) {
        *out = B::values(simd, vector);
    }

    let mut last = <[B; LANES]>::new_zeroed();
    for (slot, element) in last.iter_mut().zip(tail) {
        *slot = *element;
    }
    for (out, value) in tail_out.iter_mut().zip(B::values(simd, &last)) {
        *out = value;
    }
}
