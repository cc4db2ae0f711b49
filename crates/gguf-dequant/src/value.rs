//! What a tensor can become.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, transmute};

use crate::kernel::{Halves, LANES, Simd, Singles, Value, map_lanes};

impl Value for f32 {
    const IS_SINGLE: bool = true;

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

/// The bits of a `bf16`.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(transparent)]
pub(crate) struct Bfloat(u16);

impl Value for Bfloat {
    #[inline(always)]
    fn from_singles<S: Simd>(_: S, singles: Singles) -> [Self; LANES] {
        transmute!(map_lanes(&singles, narrow))
    }

    #[inline(always)]
    fn from_halves<S: Simd>(simd: S, halves: Halves) -> [Self; LANES] {
        Self::from_singles(simd, simd.widen(halves))
    }

    #[inline(always)]
    fn from_bfloats<S: Simd>(_: S, bfloats: Halves) -> [Self; LANES] {
        transmute!(bfloats)
    }
}

/// The nearest `bf16`, ties to even; a NaN keeps the upper bits of its payload and becomes quiet.
#[inline(always)]
fn narrow(single: f32) -> u16 {
    const INFINITY: u32 = 0x7F80_0000;
    const QUIET: u32 = 0x0040;
    let bits = single.to_bits();
    let kept = bits >> 16;
    // Just under half a unit, and the rest of it where the kept part is odd: ties go to even.
    let rounded = bits.wrapping_add(0x7FFF + (kept & 1)) >> 16;
    let is_nan = bits & !(1 << 31) > INFINITY;
    (if is_nan { kept | QUIET } else { rounded }) as u16
}
