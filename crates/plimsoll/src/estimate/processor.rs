//! The processors whose order of weights is known.
//!
//! Source: `ggml_repack_get_optimal_repack_type` in `ggml-cpu/repack.cpp`: the types by what the processor has, and rows in
//! whole groups.

use gguf_file::{Tensor, TensorType};

/// The processor whose order of weights is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Processor {
    /// x86-64 with AVX2; `Q2_K` is repacked with AVX-512 only, and is counted.
    X64,
    /// arm64 with the instructions `dotprod` or `i8mm`, as every board has that runs models at a speed.
    Arm64,
}

names!(Processor {
    X64 => "x64",
    Arm64 => "arm64",
});

impl Processor {
    /// The one this program was built for.
    #[must_use]
    pub const fn own() -> Self {
        if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X64 }
    }

    /// Rows of a group that is packed together; `None` for a type that is kept as it is.
    const fn group_rows(self, tensor_type: TensorType) -> Option<u64> {
        match (self, tensor_type) {
            (
                Self::X64,
                TensorType::Q4_0 | TensorType::Q4K | TensorType::Q2K | TensorType::Iq4Nl | TensorType::Mxfp4,
            )
            | (Self::Arm64, TensorType::Q4K | TensorType::Q5K | TensorType::Q6K) => Some(8),
            (Self::Arm64, TensorType::Q4_0 | TensorType::Q8_0 | TensorType::Iq4Nl | TensorType::Mxfp4) => {
                Some(4)
            }
            _ => None,
        }
    }

    /// Whether matrices of that type are packed anew, if their rows come in whole groups.
    pub(super) const fn packs_type(self, tensor_type: TensorType) -> bool {
        self.group_rows(tensor_type).is_some()
    }

    /// Whether a matrix of that type and shape is packed anew.
    pub(super) fn packs(self, tensor: &Tensor<'_>) -> bool {
        let rows = tensor.dims().get(1).copied().unwrap_or(1);
        let is_matrix = tensor.dims().len() >= 2 && rows > 1;
        is_matrix && self.group_rows(tensor.tensor_type()).is_some_and(|group| rows % group == 0)
    }
}
