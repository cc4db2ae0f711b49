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
    /// The upper halves of 32-bit floats, rounded to nearest even.
    Bf16,
}

names!(Output {
    Raw => "raw",
    F32 => "f32",
    F16 => "f16",
    Bf16 => "bf16",
});

impl Output {
    /// Bytes that one block of `tensor_type` comes out as.
    #[must_use]
    pub fn block_bytes(self, tensor_type: TensorType) -> u64 {
        match self {
            Self::Raw => tensor_type.block_bytes(),
            Self::F32 => tensor_type.block_elements() * 4,
            Self::F16 | Self::Bf16 => tensor_type.block_elements() * 2,
        }
    }

    /// Whether tensors of that type come out in this form: of whole numbers, which are no weights, only the stored bytes.
    #[must_use]
    pub fn takes(self, tensor_type: TensorType) -> bool {
        self == Self::Raw || Format::from_type_id(tensor_type.id()).is_some()
    }
}

/// The crates of the container and of the blocks are of use alone, so each has the geometry. Here they meet: where they differ,
/// or a type has no dequantiser, this crate does not compile.
#[allow(clippy::indexing_slicing, reason = "it runs while the crate is compiled, where a panic is an error")]
const _: () = {
    let mut place = 0;
    while place < TensorType::ALL.len() {
        let tensor_type = TensorType::ALL[place];
        match Format::from_type_id(tensor_type.id()) {
            Some(format) => {
                assert!(format.block_elements() as u64 == tensor_type.block_elements());
                assert!(format.block_bytes() as u64 == tensor_type.block_bytes());
            }
            None => assert!(matches!(
                tensor_type,
                TensorType::I8 | TensorType::I16 | TensorType::I32 | TensorType::I64
            )),
        }
        place += 1;
    }
};
