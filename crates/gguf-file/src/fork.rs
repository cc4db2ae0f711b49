//! Types of forks of ggml under ids that ggml gives to others.

use crate::TensorType;

/// A tensor type of a fork, under an id that means another type to ggml, or none.
///
/// Nothing in a file says which fork wrote it. What tells are the distances between tensors, where they are not those of
/// ggml's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForkType {
    /// The id.
    pub id: u32,
    /// The fork's name of the type.
    pub name: &'static str,
    /// The fork.
    pub fork: &'static str,
    /// Number of elements in a block.
    pub block_elements: u64,
    /// Bytes of a block.
    pub block_bytes: u64,
    /// Bytes behind the blocks of a tensor.
    pub tail_bytes: u64,
}

const fn fork_type(id: u32, name: &'static str, fork: &'static str, geometry: (u64, u64, u64)) -> ForkType {
    let (block_elements, block_bytes, tail_bytes) = geometry;
    ForkType { id, name, fork, block_elements, block_bytes, tail_bytes }
}

impl ForkType {
    /// Those that are known of. Sources: `ggml/include/ggml.h` and `ggml/src/ggml-common.h` of each fork.
    pub const ALL: &[Self] = &[
        // Two bits an element, and one scale of 32 bytes with its padding behind the tensor.
        fork_type(36, "I2_S", "bitnet.cpp", (4, 1, 32)),
        fork_type(40, "Q1_0", "an early llama.cpp of PrismML", (32, 6, 0)),
        fork_type(41, "TQ3_0", "llama-turboquant", (32, 14, 0)),
        fork_type(42, "Q2_0", "an early llama.cpp of PrismML", (128, 34, 0)),
        fork_type(42, "TQ4_0", "a llama.cpp with TurboQuant", (32, 18, 0)),
        fork_type(142, "PQ2_0", "PrismML's llama.cpp", (128, 34, 0)),
    ];

    /// The types that forks have under an id.
    pub fn with_id(id: u32) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |fork| fork.id == id)
    }

    /// Bytes of a tensor, or `None` where its rows are not whole blocks or the size exceeds `u64`.
    #[must_use]
    pub const fn size_bytes(&self, row_elements: u64, elements: u64) -> Option<u64> {
        if !row_elements.is_multiple_of(self.block_elements) {
            return None;
        }
        match (elements / self.block_elements).checked_mul(self.block_bytes) {
            Some(bytes) => bytes.checked_add(self.tail_bytes),
            None => None,
        }
    }
}

/// The ids that `ik_llama.cpp` gives to types of its own.
const IK_LLAMA_IDS: std::ops::RangeInclusive<u32> = 96..=399;

/// Who may mean what by an id that ggml does not use.
pub(crate) fn whose(id: u32) -> String {
    let mut meanings: Vec<String> =
        ForkType::with_id(id).map(|fork| format!("{} of {}", fork.name, fork.fork)).collect();
    if IK_LLAMA_IDS.contains(&id) {
        meanings.push("a type of ik_llama.cpp".to_owned());
    }
    meanings.join(" or ")
}

/// Whether a name of a removed type can be what a tensor of such rows is.
pub(crate) const fn removed_type_takes(id: u32, row_elements: u64) -> bool {
    // All of them held 32 elements in a block.
    TensorType::removed_name(id).is_some() && row_elements.is_multiple_of(32)
}
