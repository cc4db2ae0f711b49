//! How a cache stores keys or values.

use gguf_file::TensorType;

/// A type that a cache may be stored in, by the name that llama.cpp's arguments have for it (`kv_cache_types` in `arg.cpp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvType {
    /// 4 bytes an element.
    F32,
    /// 2 bytes an element.
    #[default]
    F16,
    /// 2 bytes an element.
    Bf16,
    /// 34 bytes for 32 elements.
    Q8_0,
    /// 18 bytes for 32 elements.
    Q4_0,
    /// 20 bytes for 32 elements.
    Q4_1,
    /// 18 bytes for 32 elements.
    Iq4Nl,
    /// 22 bytes for 32 elements.
    Q5_0,
    /// 24 bytes for 32 elements.
    Q5_1,
}

names!(KvType {
    F32 => "f32",
    F16 => "f16",
    Bf16 => "bf16",
    Q8_0 => "q8_0",
    Q4_0 => "q4_0",
    Q4_1 => "q4_1",
    Iq4Nl => "iq4_nl",
    Q5_0 => "q5_0",
    Q5_1 => "q5_1",
});

impl KvType {
    /// The same as a tensor's type.
    #[must_use]
    pub const fn tensor_type(self) -> TensorType {
        match self {
            Self::F32 => TensorType::F32,
            Self::F16 => TensorType::F16,
            Self::Bf16 => TensorType::Bf16,
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q4_0 => TensorType::Q4_0,
            Self::Q4_1 => TensorType::Q4_1,
            Self::Iq4Nl => TensorType::Iq4Nl,
            Self::Q5_0 => TensorType::Q5_0,
            Self::Q5_1 => TensorType::Q5_1,
        }
    }

    /// Elements of a block.
    pub(super) fn block_elements(self) -> u64 {
        self.tensor_type().block_elements()
    }

    /// Bytes of a block.
    pub(super) fn block_bytes(self) -> u64 {
        self.tensor_type().block_bytes()
    }
}
