//! The encodings of tensor data and the geometry of their blocks.

use std::fmt;

macro_rules! tensor_types {
    ($(
        $(#[$doc:meta])*
        $variant:ident = $id:literal, $name:literal, $elements:literal x $bytes:literal;
    )+) => {
        /// How the elements of a tensor are encoded.
        ///
        /// Elements come in blocks: [`block_elements`](Self::block_elements) of them take
        /// [`block_bytes`](Self::block_bytes). The ids are those of `enum ggml_type` in ggml's
        /// `include/ggml.h`, the sizes those of the block structures in its `src/ggml-common.h`. The ids 4,
        /// 5, 31 to 33 and 36 to 38 once named types that ggml has [removed](Self::removed_name).
        ///
        /// ```
        /// use gguf_file::TensorType;
        ///
        /// assert_eq!(TensorType::Q4K.name(), "Q4_K");
        /// assert_eq!(TensorType::Q4K.row_bytes(4096), Some(4096 / 256 * 144));
        /// assert_eq!(TensorType::Q4K.row_bytes(100), None);
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum TensorType {
            $($(#[$doc])* $variant = $id,)+
        }

        impl TensorType {
            /// Every type that a file may use today, in the order of their ids.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The type with this id, or `None` if there is none or it was [removed](Self::removed_name).
            #[must_use]
            pub const fn from_id(id: u32) -> Option<Self> {
                match id {
                    $($id => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// ggml's name in upper case, such as `"Q4_K"`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Number of elements in one block; 1 for plain numbers.
            #[must_use]
            pub const fn block_elements(self) -> u64 {
                match self {
                    $(Self::$variant => $elements,)+
                }
            }

            /// Size of one block in bytes.
            #[must_use]
            pub const fn block_bytes(self) -> u64 {
                match self {
                    $(Self::$variant => $bytes,)+
                }
            }
        }
    };
}

tensor_types! {
    /// 32-bit float.
    F32 = 0, "F32", 1 x 4;
    /// 16-bit float, IEEE binary16.
    F16 = 1, "F16", 1 x 2;
    /// 4 bits, one scale for 32 elements.
    Q4_0 = 2, "Q4_0", 32 x 18;
    /// 4 bits, scale and minimum for 32 elements.
    Q4_1 = 3, "Q4_1", 32 x 20;
    /// 5 bits, one scale for 32 elements.
    Q5_0 = 6, "Q5_0", 32 x 22;
    /// 5 bits, scale and minimum for 32 elements.
    Q5_1 = 7, "Q5_1", 32 x 24;
    /// 8 bits, one scale for 32 elements.
    Q8_0 = 8, "Q8_0", 32 x 34;
    /// 8 bits, scale and sum for 32 elements; ggml's intermediate type, not seen in released models.
    Q8_1 = 9, "Q8_1", 32 x 36;
    /// 2 bits with 4-bit scales and minima.
    Q2K = 10, "Q2_K", 256 x 84;
    /// 3 bits with 6-bit scales.
    Q3K = 11, "Q3_K", 256 x 110;
    /// 4 bits with 6-bit scales and minima.
    Q4K = 12, "Q4_K", 256 x 144;
    /// 5 bits with 6-bit scales and minima.
    Q5K = 13, "Q5_K", 256 x 176;
    /// 6 bits with 8-bit scales.
    Q6K = 14, "Q6_K", 256 x 210;
    /// 8 bits with one 32-bit scale; ggml's intermediate type, not seen in released models.
    Q8K = 15, "Q8_K", 256 x 292;
    /// Codebook of 256 entries, 2.06 bits.
    Iq2Xxs = 16, "IQ2_XXS", 256 x 66;
    /// Codebook of 512 entries, 2.31 bits.
    Iq2Xs = 17, "IQ2_XS", 256 x 74;
    /// Codebook of 256 entries, 3.06 bits.
    Iq3Xxs = 18, "IQ3_XXS", 256 x 98;
    /// Ternary codebook, 1.56 bits.
    Iq1S = 19, "IQ1_S", 256 x 50;
    /// 4 bits into a table of 16 values, one scale for 32 elements.
    Iq4Nl = 20, "IQ4_NL", 32 x 18;
    /// Codebook of 512 entries, 3.44 bits.
    Iq3S = 21, "IQ3_S", 256 x 110;
    /// Codebook of 1 024 entries, 2.56 bits.
    Iq2S = 22, "IQ2_S", 256 x 82;
    /// 4 bits into a table of 16 values, 6-bit scales.
    Iq4Xs = 23, "IQ4_XS", 256 x 136;
    /// 8-bit integer.
    I8 = 24, "I8", 1 x 1;
    /// 16-bit integer.
    I16 = 25, "I16", 1 x 2;
    /// 32-bit integer.
    I32 = 26, "I32", 1 x 4;
    /// 64-bit integer.
    I64 = 27, "I64", 1 x 8;
    /// 64-bit float.
    F64 = 28, "F64", 1 x 8;
    /// Ternary codebook, 1.75 bits.
    Iq1M = 29, "IQ1_M", 256 x 56;
    /// The upper half of a 32-bit float.
    Bf16 = 30, "BF16", 1 x 2;
    /// Ternary, five elements to a byte.
    Tq1_0 = 34, "TQ1_0", 256 x 54;
    /// Ternary, four elements to a byte.
    Tq2_0 = 35, "TQ2_0", 256 x 66;
    /// 4-bit floats with one shared exponent, OCP microscaling.
    Mxfp4 = 39, "MXFP4", 32 x 17;
    /// 4-bit floats with an 8-bit float scale for 16 elements.
    Nvfp4 = 40, "NVFP4", 64 x 36;
    /// Signs with one scale.
    Q1_0 = 41, "Q1_0", 128 x 18;
    /// 2 bits with one scale.
    Q2_0 = 42, "Q2_0", 64 x 18;
}

impl TensorType {
    /// The id that stands in the file.
    #[must_use]
    pub const fn id(self) -> u32 {
        self as u32
    }

    /// The name of the type that once had this id, or `None` if no removed type had it.
    #[must_use]
    pub const fn removed_name(id: u32) -> Option<&'static str> {
        match id {
            4 => Some("Q4_2"),
            5 => Some("Q4_3"),
            31 => Some("Q4_0_4_4"),
            32 => Some("Q4_0_4_8"),
            33 => Some("Q4_0_8_8"),
            36 => Some("IQ4_NL_4_4"),
            37 => Some("IQ4_NL_4_8"),
            38 => Some("IQ4_NL_8_8"),
            _ => None,
        }
    }

    /// Bits that one element takes on average, its share of scales included: 4.5 for `Q4_K`.
    #[must_use]
    pub fn bits_per_weight(self) -> f64 {
        (self.block_bytes() * 8) as f64 / self.block_elements() as f64
    }

    /// Bytes that `elements` consecutive elements take, or `None` if they are not whole blocks or the size
    /// exceeds `u64`.
    #[must_use]
    pub const fn row_bytes(self, elements: u64) -> Option<u64> {
        if !elements.is_multiple_of(self.block_elements()) {
            return None;
        }
        (elements / self.block_elements()).checked_mul(self.block_bytes())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_below_43_is_a_type_or_a_removed_type_and_none_above() {
        for id in 0..43 {
            let live = TensorType::from_id(id);
            assert_ne!(live.is_some(), TensorType::removed_name(id).is_some(), "id {id}");
            assert!(live.is_none_or(|tensor_type| tensor_type.id() == id), "id {id}");
        }
        for id in [43, 90, u32::MAX] {
            assert_eq!((TensorType::from_id(id), TensorType::removed_name(id)), (None, None));
        }
        assert_eq!(TensorType::ALL.len(), 43 - 8);
    }

    #[test]
    fn bits_per_weight_follow_from_the_geometry() {
        let expected = [
            (TensorType::F32, 32.0),
            (TensorType::Q4_0, 4.5),
            (TensorType::Q8_1, 9.0),
            (TensorType::Q3K, 3.4375),
            (TensorType::Q6K, 6.5625),
            (TensorType::Q8K, 9.125),
            (TensorType::Iq2Xxs, 2.0625),
            (TensorType::Iq1M, 1.75),
            (TensorType::Tq1_0, 1.6875),
            (TensorType::Mxfp4, 4.25),
            (TensorType::Nvfp4, 4.5),
            (TensorType::Q1_0, 1.125),
            (TensorType::Q2_0, 2.25),
        ];
        for (tensor_type, bits) in expected {
            assert!((tensor_type.bits_per_weight() - bits).abs() < f64::EPSILON, "{tensor_type}");
        }
    }

    #[test]
    fn a_row_is_whole_blocks_and_never_wraps() {
        assert_eq!(TensorType::Q4_0.row_bytes(64), Some(36));
        assert_eq!(TensorType::Q4_0.row_bytes(0), Some(0));
        assert_eq!(TensorType::Q4_0.row_bytes(65), None);
        assert_eq!(TensorType::F32.row_bytes(1 << 62), None);
    }
}
