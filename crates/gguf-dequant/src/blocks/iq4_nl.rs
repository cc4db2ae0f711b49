use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive;
use crate::kernel::{Block, Codes, LANES, Simd, Value, map_lanes};

/// The values of the codes, denser around zero, as weights are.
pub(super) const VALUES: Codes = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq4Nl {
    d: U16,
    codes: [u8; LANES],
}

impl Block for Iq4Nl {
    const ELEMENTS: usize = 32;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 2]| {
            nibbles(simd, &VALUES, &block.codes, simd.widen_one(block.d.get()), out);
        });
    }
}

/// The values that the nibbles of these bytes are codes of, the low nibbles first.
#[inline(always)]
pub(super) fn nibbles<S: Simd, V: Value>(
    simd: S,
    values: &Codes,
    bytes: &[u8; LANES],
    scale: f32,
    [low_out, high_out]: &mut [[V; LANES]; 2],
) {
    let low = simd.look_up(values, map_lanes(bytes, |byte| byte & 15));
    let high = simd.look_up(values, map_lanes(bytes, |byte| byte >> 4));
    *low_out = V::from_singles(simd, simd.decode(low, scale, 0.0));
    *high_out = V::from_singles(simd, simd.decode(high, scale, 0.0));
}
