use zerocopy::little_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::iq1_s::{eighth, shifted};
use super::{drive, grid};
use crate::kernel::{Block, LANES, Simd, Value};

#[derive(FromBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Iq1M {
    indices: [[[[u8; 2]; 2]; 2]; 4],
    /// For each index a nibble: its bits 8 to 10, and which way its values are shifted.
    high_bits: [[[u8; 2]; 2]; 4],
    /// Four scales of three bits, each of 16 values, and above them four bits of d, the lowest ones first.
    scales: [U16; 4],
}

impl Iq1M {
    #[inline(always)]
    fn d(&self) -> u16 {
        let [a, b, c, d] = self.scales.map(|scales| scales.get() >> 12);
        a | b << 4 | c << 8 | d << 12
    }
}

impl Block for Iq1M {
    const ELEMENTS: usize = 256;

    #[inline(always)]
    fn write<S: Simd, V: Value>(simd: S, blocks: &[Self], out: &mut [V]) {
        drive::blocks(blocks, out, |block, out: &mut [[[[V; LANES]; 2]; 2]; 4]| {
            let d = simd.widen_one(block.d());
            for (((indices, high_bits), scales), out) in
                block.indices.iter().zip(block.high_bits).zip(block.scales).zip(out)
            {
                let mut scales = scales.get();
                for ((indices, high_bits), out) in indices.iter().zip(high_bits).zip(out) {
                    for (([first, last], bits), out) in indices.iter().zip(high_bits).zip(out) {
                        let bits = u16::from(bits);
                        let indices = [grid::index(*first, bits & 7), grid::index(*last, bits >> 4 & 7)];
                        let codes = shifted(indices, [bits & 0x08 == 0, bits & 0x80 == 0]);
                        *out = V::from_singles(simd, simd.decode(codes, eighth(d, scales), 0.0));
                        scales >>= 3;
                    }
                }
            }
        });
    }
}
