//! What may be chosen.

use crate::estimate::{kv_type::KvType, options::EstimateOptions};

/// What is decided first, and what last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FitAxis {
    /// Slots: the one that stands first is the best.
    Parallel,
    /// The type of the cache: the one that stands first is the best.
    KvType,
    /// The micro-batch: the one that stands first is the best.
    Ubatch,
    /// The context: the longest is the best.
    Context,
    /// Whether the file is mapped, which keeps a second copy of what is repacked or goes to a GPU in the page cache: mapped is
    /// better, as a server that starts again finds its file there.
    Mmap,
}

names!(FitAxis {
    Parallel => "parallel",
    KvType => "kvType",
    Ubatch => "ubatch",
    Context => "context",
    Mmap => "mmap",
});

/// The choices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FitOptions {
    /// Everything that is not chosen; its context, slots, types of the cache, micro-batch and map are not heeded.
    pub run: EstimateOptions,
    /// Whether the file is mapped, the better first. Default: mapped, then not.
    pub mmap: Vec<bool>,
    /// Tokens that a slot must have. Default: 2048, or as many as the model was trained with.
    pub min_context: Option<u64>,
    /// The most tokens that a slot may have. Default: as many as the model was trained with.
    pub max_context: Option<u64>,
    /// Slots, the best first. Default: 1.
    pub parallel: Vec<u64>,
    /// Types of the cache, for keys and values alike, the best first. Default: `F16`, `Q8_0`; `F16` alone where there is no
    /// flash attention, and types whose blocks do not suit the model are passed over.
    pub kv_types: Vec<KvType>,
    /// Micro-batches, the best first. Default: 512, 256, 128.
    pub ubatches: Vec<u64>,
    /// What is decided first. Those that are not named come behind, in the order of the default: slots, type of the cache,
    /// micro-batch, context, map.
    pub priorities: Vec<FitAxis>,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self {
            run: EstimateOptions::default(),
            mmap: vec![true, false],
            min_context: None,
            max_context: None,
            parallel: vec![1],
            kv_types: vec![KvType::F16, KvType::Q8_0],
            ubatches: vec![512, 256, 128],
            priorities: FitAxis::ALL.to_vec(),
        }
    }
}
