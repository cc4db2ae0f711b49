//! How large a model is at each level of quantisation, by its number of parameters.

use gguf_file::TensorType;

use crate::error::{Error, Result};

/// A level that a model may be quantised to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantization {
    /// The name that llama.cpp's tools have for it, such as `Q4_K_M`.
    pub name: &'static str,
    /// Bits of a parameter, in ten-thousandths: a mixture of types has no whole number of them.
    pub bits_e4: u64,
    /// How most of its matrices are stored.
    pub tensor_type: TensorType,
}

/// Ten-thousandths of a bit in a byte.
const BYTE_E4: u128 = 80_000;

const fn level(name: &'static str, bits_e4: u64, tensor_type: TensorType) -> Quantization {
    Quantization { name, bits_e4, tensor_type }
}

/// Every level, the largest first.
///
/// Source: the sizes that llama.cpp's `tools/quantize/README.md` gives for Llama 3.1 8B; `F32`, `BF16`, `Q4_0` to `Q5_1` and
/// `MXFP4` by the bytes of their blocks. A smaller model has more of its parameters in embeddings, which mixtures store in more
/// bits: at 1 billion they take up to a fifth more.
pub const QUANTIZATIONS: &[Quantization] = &[
    level("F32", 320_000, TensorType::F32),
    level("F16", 160_005, TensorType::F16),
    level("BF16", 160_005, TensorType::Bf16),
    level("Q8_0", 85_008, TensorType::Q8_0),
    level("Q6_K", 65_633, TensorType::Q6K),
    level("Q5_1", 60_000, TensorType::Q5_1),
    level("Q5_K_M", 57_036, TensorType::Q5K),
    level("Q5_K_S", 55_704, TensorType::Q5K),
    level("Q5_0", 55_000, TensorType::Q5_0),
    level("Q4_1", 50_000, TensorType::Q4_1),
    level("Q4_K_M", 48_944, TensorType::Q4K),
    level("IQ4_NL", 46_818, TensorType::Iq4Nl),
    level("Q4_K_S", 46_672, TensorType::Q4K),
    level("Q4_0", 46_602, TensorType::Q4_0),
    level("IQ4_XS", 44_597, TensorType::Iq4Xs),
    level("Q3_K_L", 42_979, TensorType::Q3K),
    level("MXFP4", 42_500, TensorType::Mxfp4),
    level("Q3_K_M", 39_960, TensorType::Q3K),
    level("IQ3_M", 37_628, TensorType::Iq3S),
    level("IQ3_S", 36_606, TensorType::Iq3S),
    level("Q3_K_S", 36_429, TensorType::Q3K),
    level("IQ3_XS", 34_977, TensorType::Iq3S),
    level("IQ3_XXS", 32_548, TensorType::Iq3Xxs),
    level("Q2_K", 31_593, TensorType::Q2K),
    level("Q2_K_S", 29_697, TensorType::Q2K),
    level("IQ2_M", 29_294, TensorType::Iq2S),
    level("IQ2_S", 27_403, TensorType::Iq2S),
    level("IQ2_XS", 25_882, TensorType::Iq2Xs),
    level("IQ2_XXS", 23_824, TensorType::Iq2Xxs),
    level("IQ1_M", 21_460, TensorType::Iq1M),
    level("IQ1_S", 20_042, TensorType::Iq1S),
];

impl Quantization {
    /// The level of that name, in capitals or not.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for a name that no level has.
    pub fn find(name: &str) -> Result<Self> {
        QUANTIZATIONS.iter().find(|it| it.name.eq_ignore_ascii_case(name)).copied().ok_or_else(|| {
            let names: Vec<&str> = QUANTIZATIONS.iter().map(|it| it.name).collect();
            Error::invalid_argument("quant", format!("one of {}", names.join(", ")), format!("{name:?}"))
        })
    }

    /// Bits of one parameter, on average.
    #[must_use]
    pub const fn bits_per_weight(self) -> f64 {
        self.bits_e4 as f64 / 1e4
    }

    /// Bytes of so many parameters.
    ///
    /// ```
    /// use plimsoll::estimate::Quantization;
    ///
    /// assert_eq!(Quantization::find("q4_k_m")?.size_bytes(8_000_000_000), 4_894_400_000);
    /// # Ok::<(), plimsoll::Error>(())
    /// ```
    #[must_use]
    pub const fn size_bytes(self, parameters: u64) -> u64 {
        // Below 2^64 for fewer than 2^61 parameters; a quotient of 128 bits is not cut off before.
        let bytes = (parameters as u128 * self.bits_e4 as u128).div_ceil(BYTE_E4);
        if bytes > u64::MAX as u128 { u64::MAX } else { bytes as u64 }
    }
}

/// The bytes that a file is said to need in memory by the rule of thumb of older tools: its size and half of it.
///
/// It knows nothing of the context: an 8-billion model with 128 k tokens needs four times its file. For files that nobody can
/// read the header of.
#[must_use]
pub const fn rule_of_thumb_bytes(file_bytes: u64) -> u64 {
    file_bytes.saturating_add(file_bytes.div_ceil(2))
}
