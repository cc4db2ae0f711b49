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
        /// Byte offsets are from the block's start, `d` and `dmin` are IEEE halves, and the low nibble of a byte is
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

            /// How many values one block makes: 1, 32 or 256.
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

    /// 32 values in 34 bytes: d at 0, 32 signed code bytes at 2; `d * code`.
    Q8_0 = 8, "Q8_0", blocks::q8_0::Q8_0;

    /// 256 values in 144 bytes: d at 0, dmin at 2, 12 bytes of packed scales at 4, 128 code bytes at 16.
    ///
    /// Eight sub-blocks of 32 values, each with a 6-bit scale and a 6-bit minimum. 32 code bytes carry two
    /// sub-blocks, the even one in the low nibbles; `(d * scale) * code - dmin * minimum`.
    Q4K = 12, "Q4_K", blocks::q4_k::Q4K;

    /// 256 values in 210 bytes: 128 bytes of low code bits at 0, 64 of high ones at 128, 16 signed scale bytes at
    /// 192, d at 208.
    ///
    /// Sub-blocks of 16 values with codes of 6 bits; `(d * scale) * (code - 32)`.
    Q6K = 14, "Q6_K", blocks::q6_k::Q6K;

    /// The upper half of an IEEE single, 2 bytes each; widened exactly.
    Bf16 = 30, "BF16", blocks::bf16::Bf16;
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

    #[test]
    fn geometry_is_ggmls() {
        let geometry = |id| Format::from_type_id(id).map(|f| (f.name(), f.block_elements(), f.block_bytes()));
        assert_eq!(geometry(0), Some(("F32", 1, 4)));
        assert_eq!(geometry(1), Some(("F16", 1, 2)));
        assert_eq!(geometry(2), Some(("Q4_0", 32, 18)));
        assert_eq!(geometry(8), Some(("Q8_0", 32, 34)));
        assert_eq!(geometry(12), Some(("Q4_K", 256, 144)));
        assert_eq!(geometry(14), Some(("Q6_K", 256, 210)));
        assert_eq!(geometry(30), Some(("BF16", 1, 2)));
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
