//! The table of formats: the one place that lists them all.

use std::fmt;

use crate::blocks;
use crate::kernel::Block;

/// What is written once for every kind of block.
pub(crate) trait ForBlock {
    type Out;

    fn run<B: Block>(self) -> Self::Out;
}

macro_rules! formats {
    ($($(#[$doc:meta])* $variant:ident = $type_id:literal, $name:literal, $block:ty;)+) => {
        /// A block format this crate can dequantise: a tensor type of a GGUF file.
        ///
        /// Byte offsets are from the block's start, `d`, `dmin` and `m` are IEEE halves, and the low nibble of a byte is
        /// its bits 0 to 3. Layouts: ggml's `ggml-common.h`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Format {
            $($(#[$doc])* $variant,)+
        }

        impl Format {
            /// Every format, by rising tensor type id.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The format of a ggml tensor type id; `None` where this crate has no kernel for it.
            ///
            /// [`TryFrom<u32>`](#impl-TryFrom<u32>-for-Format) says the same with an [`Error`](crate::Error) that names the id.
            #[must_use]
            pub const fn from_type_id(id: u32) -> Option<Self> {
                match id {
                    $($type_id => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The tensor type id, as a GGUF tensor info gives it.
            #[must_use]
            pub const fn type_id(self) -> u32 {
                match self { $(Self::$variant => $type_id,)+ }
            }

            /// ggml's name for the type, such as `"Q4_K"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// How many values one block makes: 1, 32, 64, 128 or 256.
            #[must_use]
            pub const fn block_elements(self) -> usize {
                match self { $(Self::$variant => <$block>::ELEMENTS,)+ }
            }

            /// How many bytes one block takes.
            #[must_use]
            pub const fn block_bytes(self) -> usize {
                match self { $(Self::$variant => size_of::<$block>(),)+ }
            }

            /// Runs what is written for every kind of block on this one's.
            pub(crate) fn with_block<R: ForBlock>(self, run: R) -> R::Out {
                match self { $(Self::$variant => run.run::<$block>(),)+ }
            }
        }
    };
}

// A new format is a line here and a file in `blocks/`.
formats! {
    /// IEEE single precision, 4 bytes each; copied.
    F32 = 0, "F32", blocks::f32::F32;

    /// IEEE half precision, 2 bytes each; widened exactly, a signalling NaN becomes a quiet one.
    F16 = 1, "F16", blocks::f16::F16;

    /// 32 values in 18 bytes: d at 0, 16 code bytes at 2.
    ///
    /// Value j is the low nibble of code byte j, value j + 16 the high one; `d * (code - 8)`.
    Q4_0 = 2, "Q4_0", blocks::q4_0::Q4_0;

    /// 32 values in 20 bytes: d at 0, m at 2, 16 code bytes at 4, in the order of `Q4_0`; `d * code + m`.
    Q4_1 = 3, "Q4_1", blocks::q4_1::Q4_1;

    /// 32 values in 22 bytes: d at 0, the fifth bits of the codes at 2, their nibbles at 6 in the order of `Q4_0`.
    ///
    /// Bit j of the four bytes at 2, the lowest first, belongs to value j; `d * (code - 16)`.
    Q5_0 = 6, "Q5_0", blocks::q5_0::Q5_0;

    /// 32 values in 24 bytes: d at 0, m at 2, fifth bits at 4 and nibbles at 8 as of `Q5_0`; `d * code + m`.
    Q5_1 = 7, "Q5_1", blocks::q5_1::Q5_1;

    /// 32 values in 34 bytes: d at 0, 32 signed code bytes at 2; `d * code`.
    Q8_0 = 8, "Q8_0", blocks::q8_0::Q8_0;

    /// 32 values in 36 bytes: d at 0, a sum at 2 that is no part of them, 32 signed code bytes at 4; `d * code`.
    Q8_1 = 9, "Q8_1", blocks::q8_1::Q8_1;

    /// 256 values in 84 bytes: 16 bytes of scales at 0, 64 code bytes at 16, d at 80, dmin at 82.
    ///
    /// Sub-blocks of 16 values: a scale in the low nibble of a byte, a minimum in the high one. 32 code bytes carry eight
    /// of them, two in each two bits from the lowest up; `(d * scale) * code - dmin * minimum`.
    Q2K = 10, "Q2_K", blocks::q2_k::Q2K;

    /// 256 values in 110 bytes: 32 bytes of high code bits at 0, 64 of low ones at 32, 12 of packed scales at 96, d at 108.
    ///
    /// Sub-blocks as of `Q2_K` with codes of 3 bits and a scale of 6; `(d * (scale - 32)) * (code - 4)`.
    Q3K = 11, "Q3_K", blocks::q3_k::Q3K;

    /// 256 values in 144 bytes: d at 0, dmin at 2, 12 bytes of packed scales at 4, 128 code bytes at 16.
    ///
    /// Eight sub-blocks of 32 values, each with a 6-bit scale and a 6-bit minimum. 32 code bytes carry two
    /// sub-blocks, the even one in the low nibbles; `(d * scale) * code - dmin * minimum`.
    Q4K = 12, "Q4_K", blocks::q4_k::Q4K;

    /// 256 values in 176 bytes: as `Q4_K` up to 16, then 32 bytes of fifth code bits, 128 code bytes at 48.
    ///
    /// Sub-block s has bit s of the 32 bytes; `(d * scale) * code - dmin * minimum`.
    Q5K = 13, "Q5_K", blocks::q5_k::Q5K;

    /// 256 values in 210 bytes: 128 bytes of low code bits at 0, 64 of high ones at 128, 16 signed scale bytes at
    /// 192, d at 208.
    ///
    /// Sub-blocks of 16 values with codes of 6 bits; `(d * scale) * (code - 32)`.
    Q6K = 14, "Q6_K", blocks::q6_k::Q6K;

    /// 256 values in 292 bytes: d as a single at 0, 256 signed code bytes at 4, sums at 260 that are no part of them;
    /// `d * code`.
    Q8K = 15, "Q8_K", blocks::q8_k::Q8K;

    /// 256 values in 66 bytes: d at 0, eight groups of 8 bytes at 2.
    ///
    /// A group is 32 values: four indices into a codebook of eights, then four times seven sign bits, of which the eighth
    /// makes their number even, and a scale of 4 bits; `d * (0.5 + scale) * 0.25 * entry`.
    Iq2Xxs = 16, "IQ2_XXS", blocks::iq2_xxs::Iq2Xxs;

    /// 256 values in 74 bytes: d at 0, 32 words of 16 bits at 2, 8 bytes of scales at 66.
    ///
    /// A word is an index of 9 bits into a codebook of eights and seven signs, as of `IQ2_XXS`. A nibble of the scales is for 16
    /// values, the low one first; `d * (0.5 + scale) * 0.25 * entry`.
    Iq2Xs = 17, "IQ2_XS", blocks::iq2_xs::Iq2Xs;

    /// 256 values in 98 bytes: d at 0, 64 indices at 2 into a codebook of fours, eight words of signs and scale at 66.
    ///
    /// The words are those of `IQ2_XXS`; `d * (0.5 + scale) * 0.5 * entry`.
    Iq3Xxs = 18, "IQ3_XXS", blocks::iq3_xxs::Iq3Xxs;

    /// 256 values in 50 bytes: d at 0, 32 lower bytes of indices at 2, eight words of 16 bits at 34.
    ///
    /// A word has bits 8 to 10 of four indices into a codebook of eights, a scale of 3 bits, and in its top bit the sign
    /// of the shift; `d * (2 * scale + 1) * (entry + shift)`, where the shift is an eighth.
    Iq1S = 19, "IQ1_S", blocks::iq1_s::Iq1S;

    /// 32 values in 18 bytes: as `Q4_0`, but the codes are looked up in a table of 16; `d * table[code]`.
    Iq4Nl = 20, "IQ4_NL", blocks::iq4_nl::Iq4Nl;

    /// 256 values in 110 bytes: d at 0, 64 lower bytes of indices at 2 into a codebook of fours, their ninth bits at 66,
    /// a sign for each value at 74, 4 bytes of scales at 106.
    ///
    /// A nibble of the scales is for 32 values; `d * (1 + 2 * scale) * entry`.
    Iq3S = 21, "IQ3_S", blocks::iq3_s::Iq3S;

    /// 256 values in 82 bytes: d at 0, 32 lower bytes of indices at 2 into a codebook of eights, a sign for each value at
    /// 34, bits 8 and 9 of the indices at 66, 8 bytes of scales at 74.
    ///
    /// Scales and formula are those of `IQ2_XS`.
    Iq2S = 22, "IQ2_S", blocks::iq2_s::Iq2S;

    /// 256 values in 136 bytes: d at 0, bits 4 and 5 of eight scales at 2, their lower nibbles at 4, 128 code bytes at 8.
    ///
    /// Sub-blocks of 32 values in the order and with the table of `IQ4_NL`; `(d * (scale - 32)) * table[code]`.
    Iq4Xs = 23, "IQ4_XS", blocks::iq4_xs::Iq4Xs;

    /// IEEE double precision, 8 bytes each; rounded to the nearest single, ties to even.
    F64 = 28, "F64", blocks::f64::F64;

    /// 256 values in 56 bytes: 32 lower bytes of indices at 0, 16 bytes of a nibble for each index at 32, four words of 16
    /// bits at 48.
    ///
    /// The codebook and the formula are those of `IQ1_S`. A nibble has bits 8 to 10 of an index and the sign of its shift;
    /// a word has four scales of 3 bits, each for 16 values, and above them four bits of d.
    Iq1M = 29, "IQ1_M", blocks::iq1_m::Iq1M;

    /// The upper half of an IEEE single, 2 bytes each; widened exactly.
    Bf16 = 30, "BF16", blocks::bf16::Bf16;

    /// 256 values in 54 bytes: 48 bytes of five digits in base 3, 4 bytes of four, d at 52.
    ///
    /// A byte is a fraction of 256 in base 3. The first digits of 32 bytes come first, then their second ones, up to
    /// the fifth; so those of the 16 that follow, and of the last 4; `d * (digit - 1)`.
    Tq1_0 = 34, "TQ1_0", blocks::tq1_0::Tq1_0;

    /// 256 values in 66 bytes: 64 code bytes at 0, d at 64.
    ///
    /// 32 code bytes carry 128 values, 32 in each two bits from the lowest up; `d * (code - 1)`.
    Tq2_0 = 35, "TQ2_0", blocks::tq2_0::Tq2_0;

    /// 32 values in 17 bytes: an exponent e at 0, 16 bytes of 4-bit floats (E2M1) at 1, in the order of `Q4_0`.
    ///
    /// OCP microscaling; `float * 2^(e - 127)`. No e is a NaN; what is beyond a single is infinite.
    Mxfp4 = 39, "MXFP4", blocks::mxfp4::Mxfp4;

    /// 64 values in 36 bytes: four scales at 0, floats without a sign (UE4M3), 32 bytes of 4-bit floats (E2M1) at 4.
    ///
    /// A scale is for 16 values in 8 bytes, the low nibbles first; `float * scale`. As of ggml, the scale 0x7F is 0 and 0xFF is 480.
    Nvfp4 = 40, "NVFP4", blocks::nvfp4::Nvfp4;

    /// 128 values in 18 bytes: d at 0, a bit for each from 2 on, the lowest first; d where it is set, -d where it is not.
    Q1_0 = 41, "Q1_0", blocks::q1_0::Q1_0;

    /// 64 values in 18 bytes: d at 0, two bits for each from 2 on, the lowest first; `d * (code - 1)`.
    Q2_0 = 42, "Q2_0", blocks::q2_0::Q2_0;
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Format;
    use crate::Error;

    /// From ggml's `ggml-common.h`, by hand.
    const GEOMETRY: &[(u32, &str, usize, usize)] = &[
        (0, "F32", 1, 4),
        (1, "F16", 1, 2),
        (2, "Q4_0", 32, 18),
        (3, "Q4_1", 32, 20),
        (6, "Q5_0", 32, 22),
        (7, "Q5_1", 32, 24),
        (8, "Q8_0", 32, 34),
        (9, "Q8_1", 32, 36),
        (10, "Q2_K", 256, 84),
        (11, "Q3_K", 256, 110),
        (12, "Q4_K", 256, 144),
        (13, "Q5_K", 256, 176),
        (14, "Q6_K", 256, 210),
        (15, "Q8_K", 256, 292),
        (16, "IQ2_XXS", 256, 66),
        (17, "IQ2_XS", 256, 74),
        (18, "IQ3_XXS", 256, 98),
        (19, "IQ1_S", 256, 50),
        (20, "IQ4_NL", 32, 18),
        (21, "IQ3_S", 256, 110),
        (22, "IQ2_S", 256, 82),
        (23, "IQ4_XS", 256, 136),
        (28, "F64", 1, 8),
        (29, "IQ1_M", 256, 56),
        (30, "BF16", 1, 2),
        (34, "TQ1_0", 256, 54),
        (35, "TQ2_0", 256, 66),
        (39, "MXFP4", 32, 17),
        (40, "NVFP4", 64, 36),
        (41, "Q1_0", 128, 18),
        (42, "Q2_0", 64, 18),
    ];

    #[test]
    fn geometry_is_ggmls() {
        let geometry: Vec<_> = Format::ALL
            .iter()
            .map(|f| (f.type_id(), f.name(), f.block_elements(), f.block_bytes()))
            .collect();
        assert_eq!(geometry, GEOMETRY);
    }

    #[test]
    fn ids_and_formats_map_onto_each_other() {
        for &format in Format::ALL {
            assert_eq!(Format::try_from(format.type_id()), Ok(format));
        }
        assert!(Format::ALL.is_sorted_by_key(|format| format.type_id()));
    }

    #[test]
    fn any_other_type_is_refused_by_its_id() {
        for type_id in (0..=300).chain([u32::MAX]).filter(|&id| Format::from_type_id(id).is_none()) {
            let error = Format::try_from(type_id).unwrap_err();
            assert_eq!(error, Error::UnsupportedType { type_id });
            assert!(error.to_string().starts_with(&format!("tensor type {type_id} cannot")), "{error}");
            assert!(error.to_string().contains("Q4_K (12)"), "{error}");
        }
    }
}
