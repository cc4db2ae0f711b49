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

impl Output {
    /// The stable name: `"raw"`, `"f32"`, `"f16"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// The output with that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Raw, Self::F32, Self::F16].into_iter().find(|output| output.name() == name)
    }

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
