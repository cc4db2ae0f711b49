use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::drive::{self, TwoVectors};
use super::scale_min::ScaleMin;
use crate::kernel::{Block, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Q4K {
    d: U16,
    dmin: U16,
    scale_min: ScaleMin,
    /// The even sub-block of a pair in the low nibbles, the odd one in the high nibbles.
    pairs: [TwoVectors<u8>; 4],
}

impl Block for Q4K {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[TwoVectors<V>; 2]; 4]| {
            let d = simd.widen_one(block.d.get());
            let dmin = simd.widen_one(block.dmin.get());
            let (scales, minimums) = block.scale_min.unpack();
            let pairs = block.pairs.iter().zip(scales).zip(minimums).zip(out);
            for (((bytes, [scale0, scale1]), [minimum0, minimum1]), [out0, out1]) in pairs {
                let (scale, minimum) = (d * f32::from(scale0), dmin * f32::from(minimum0));
                sub_block(simd, bytes, |byte| byte & 15, scale, minimum, out0);
                let (scale, minimum) = (d * f32::from(scale1), dmin * f32::from(minimum1));
                sub_block(simd, bytes, |byte| byte >> 4, scale, minimum, out1);
            }
        });
    }
}

#[inline(always)]
fn sub_block<S: Simd, V: Value>(
    simd: S,
    bytes: &TwoVectors<u8>,
    code: impl Fn(u8) -> u8,
    scale: f32,
    minimum: f32,
    out: &mut TwoVectors<V>,
) {
    for (bytes, out) in bytes.iter().zip(out) {
        let codes = map_lanes(bytes, |byte| code(byte).cast_signed());
        *out = V::from_singles(simd, simd.decode(codes, scale, minimum));
    }
}
