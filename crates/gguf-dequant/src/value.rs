//! What a tensor can become.

use crate::kernel::{Halves, Simd, Singles, Value};

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
