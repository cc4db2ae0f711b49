//! What tensors come out as.

use gguf_dequant::Format;
use gguf_file::TensorType;

/// The form a tensor's data is delivered in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Output {
    /// The bytes as the file holds them.
    #[default]
    Raw,
    /// 32-bit floats.
    F32,
    /// 16-bit floats, rounded to nearest even; values beyond 65504 become infinite.
    F16,
}

names!(Output {
    Raw => "raw",
    F32 => "f32",
    F16 => "f16",
});

impl Output {
    /// Bytes that one block of `tensor_type` comes out as.
    #[must_use]
    pub fn block_bytes(self, tensor_type: TensorType) -> u64 {
        match self {
            Self::Raw => tensor_type.block_bytes(),
            Self::F32 => tensor_type.block_elements() * 4,
            Self::F16 => tensor_type.block_elements() * 2,
        }
    }

    /// Whether tensors of that type come out in this form.
    #[must_use]
    pub fn takes(self, tensor_type: TensorType) -> bool {
        self == Self::Raw || Format::from_type_id(tensor_type.id()).is_some()
    }
}
