use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned, transmute};

use super::drive;
use crate::kernel::{Block, LANES, Simd, Value, map_lanes};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Tq1_0 {
    /// Five digits in base 3 a byte, of two vectors together.
    pairs: [[u8; LANES]; 2],
    /// The same of one vector.
    single: [u8; LANES],
    /// Four digits a byte.
    last: [u8; 4],
    d: U16,
}

/// What brings digit n of a byte to its top: it is a fraction of 256, and what overflows are the digits before.
const POWERS: [u8; 5] = [1, 3, 9, 27, 81];

impl Block for Tq1_0 {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[V; LANES]; 256 / LANES]| {
            let d = simd.widen_one(block.d.get());
            let [pair0, pair1] = &block.pairs;
            let single = &block.single;
            let [p0, p1, p2, p3, p4] = POWERS;
            // Four bytes in four lanes each, multiplied up to a digit of their own.
            let last: [u8; LANES] =
                transmute!([p0, p1, p2, p3].map(|power| block.last.map(|byte| byte.wrapping_mul(power))));
            let vectors = [
                (pair0, p0),
                (pair1, p0),
                (pair0, p1),
                (pair1, p1),
                (pair0, p2),
                (pair1, p2),
                (pair0, p3),
                (pair1, p3),
                (pair0, p4),
                (pair1, p4),
                (single, p0),
                (single, p1),
                (single, p2),
                (single, p3),
                (single, p4),
                (&last, p0),
            ];
            for ((bytes, power), out) in vectors.into_iter().zip(out) {
                let codes = map_lanes(bytes, |byte| digit(byte.wrapping_mul(power)));
                *out = V::from_singles(simd, simd.decode(codes, d, 0.0));
            }
        });
    }
}

/// The first digit of a fraction of 256 in base 3, less 1.
#[inline(always)]
fn digit(fraction: u8) -> i8 {
    // Thrice a byte has ten bits at most, and the digit is what is above eight of them.
    let digit = (u16::from(fraction) * 3) >> 8;
    digit as i8 - 1
}
