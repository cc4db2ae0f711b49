//! The two loops that every kernel is the body of.

use zerocopy::{FromBytes, FromZeros, IntoBytes, KnownLayout};

use crate::kernel::{Block, LANES, Value};

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

/// Runs `kernel` once for each vector of blocks of one element, the last one filled up with zeros.
#[inline(always)]
pub(super) fn elements<B, V>(blocks: &[B], out: &mut [V], kernel: impl Fn(&[B; LANES]) -> [V; LANES])
where
    B: Block + Copy,
    V: Value,
{
    const { assert!(B::ELEMENTS == 1) };
    let (vectors, tail) = blocks.as_chunks();
    let (out, tail_out) = out.as_chunks_mut();
    for (vector, out) in vectors.iter().zip(out) {
        *out = kernel(vector);
    }

    let mut last = <[B; LANES]>::new_zeroed();
    for (slot, element) in last.iter_mut().zip(tail) {
        *slot = *element;
    }
    for (out, value) in tail_out.iter_mut().zip(kernel(&last)) {
        *out = value;
    }
}
