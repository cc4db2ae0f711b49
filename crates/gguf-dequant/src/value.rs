//! What a tensor can become.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::simd::{Halves, LANES, Simd, Singles};

/// An element of the output: `f32`, or the bits of an `f16`.
pub(crate) trait Value: Copy + FromBytes + IntoBytes + Immutable + KnownLayout {
    /// Makes a vector of values from the results of a computation.
    fn from_singles<S: Simd>(simd: S, singles: Singles) -> [Self; LANES];

    /// Makes a vector of values from halves that are already the result.
    fn from_halves<S: Simd>(simd: S, halves: Halves) -> [Self; LANES];
}

impl Value for f32 {
    #[inline(always)]
    fn from_singles<S: Simd>(_: S, singles: Singles) -> Singles {
        singles
    }

    #[inline(always)]
    fn from_halves<S: Simd>(simd: S, halves: Halves) -> Singles {
        simd.widen(halves)
    }
}

impl Value for u16 {
    #[inline(always)]
    fn from_singles<S: Simd>(simd: S, singles: Singles) -> Halves {
        simd.narrow(singles)
    }

    #[inline(always)]
    fn from_halves<S: Simd>(_: S, halves: Halves) -> Halves {
        halves
    }
}
