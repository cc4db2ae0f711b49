//! A choice on every axis.

use crate::estimate::kv_type::KvType;

/// One choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration {
    /// Tokens of one slot.
    pub context_length: u64,
    /// Slots.
    pub parallel: u64,
    /// How keys and values are stored.
    pub kv_type: KvType,
    /// Tokens that are computed at once.
    pub ubatch: u64,
    /// Layers on the GPU, the output matrix among them.
    pub gpu_layers: u64,
    /// Whether the file is mapped.
    pub mmap: bool,
}

impl Configuration {
    /// Tokens that the cache of all slots holds.
    #[must_use]
    pub const fn cache_tokens(&self) -> u64 {
        self.context_length.saturating_mul(self.parallel)
    }
}
