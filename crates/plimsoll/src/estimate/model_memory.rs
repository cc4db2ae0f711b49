//! The estimate: all parts together.

use super::{
    cache::{self, KeptBytes},
    extras::ExtraBytes,
    hyperparameters::Hyperparameters,
    layers::LayerKind,
    options::Run,
    placement::{ComputeDevice, DeviceBytes},
    totals::TotalBytes,
    weights::{BlockBytes, WeightBytes},
};
use crate::error::{Error, Result};

/// What a model needs, part by part, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelMemoryEstimate {
    /// The model family, as the file names it.
    pub architecture: String,
    /// Whether the rules of that family are known. Where they are not, those of a plain transformer were taken: keys and values of
    /// every head in every layer, without windows. Then no figure but that of the weights is exact, and none is a bound.
    pub is_known: bool,
    /// Tokens of one slot.
    pub context_length: u64,
    /// Slots.
    pub parallel: u64,
    /// All weights that are loaded.
    pub weights_bytes: u64,
    /// Keys and values of all slots.
    pub kv_cache_bytes: u64,
    /// Recurrent states of all slots.
    pub state_bytes: u64,
    /// The compute buffer, as near as it is known.
    pub compute_bytes: u64,
    /// What the compute buffer takes at most. A bound for known families only.
    pub compute_bound_bytes: u64,
    /// Whether both are what llama.cpp takes on the CPU, to the byte.
    pub is_compute_exact: bool,
    /// The logits, and embeddings where they are asked for, that a caller may read: one token of each slot.
    pub output_bytes: u64,
    /// The weights in parts.
    pub weights: WeightBytes,
    /// The same by layer, and its caches: one element for each block of the file.
    pub layers: Vec<LayerBytes>,
    /// What each device holds: the processor, and the GPU where layers are given to it.
    pub devices: Vec<DeviceBytes>,
    /// What the run needs beside the model.
    pub extras: Vec<ExtraBytes>,
    /// All of it together.
    pub totals: TotalBytes,
    /// Of a program whose buffers lie in an NPU's addresses: how many of its domains all of it takes at least once there is a context, each
    /// a window of 4 GiB. 0 of others.
    pub npu_domains: u64,
}

/// What one block of the model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerBytes {
    /// Its tensors. Those of a block that is not loaded count nothing.
    pub weights_bytes: u64,
    /// Its keys, of all slots, those of an index among them.
    pub key_bytes: u64,
    /// Its values, of all slots.
    pub value_bytes: u64,
    /// Its recurrent state, of all slots.
    pub state_bytes: u64,
    /// Tokens that each of its caches holds; 0 where it has none.
    pub cells: u64,
    /// Whether it sees a window of the last tokens only.
    pub slides: bool,
    /// Keys and values of one token.
    pub bytes_per_token: u64,
    /// Tokens that its caches hold for each slot, where it sees a window only.
    pub window_tokens: Option<u64>,
    /// The recurrent state of one slot.
    pub bytes_per_sequence: u64,
    /// Where it is computed, and its caches are.
    pub device: ComputeDevice,
}

impl LayerBytes {
    pub(super) fn of(
        weights: &BlockBytes,
        kept: &KeptBytes,
        kind: LayerKind,
        run: &Run,
        device: ComputeDevice,
    ) -> Self {
        let rows = kept.cells.saturating_mul(run.streams);
        Self {
            weights_bytes: weights.all_bytes,
            key_bytes: kept.key_bytes,
            value_bytes: kept.value_bytes,
            state_bytes: kept.state_bytes,
            cells: kept.cells,
            slides: kind.slides,
            bytes_per_token: (kept.key_bytes + kept.value_bytes).div_ceil(rows.max(1)),
            window_tokens: (kind.slides && rows > 0).then(|| rows.div_ceil(run.slots)),
            bytes_per_sequence: kept.state_bytes / run.slots,
            device,
        }
    }
}

/// A row of logits, and one of embeddings where they are asked for, of one token of each slot (`llama_context::output_reserve`).
/// Below 2^43: the slots are few, and a hyperparameter has 32 bits.
pub(super) fn output_bytes(model: &Hyperparameters<'_>, run: &Run) -> u64 {
    let embedding = if run.options.embeddings { model.embedding } else { 0 };
    4 * run.slots * (model.vocabulary + embedding)
}

pub(super) fn total(kept: &[KeptBytes], part: fn(&KeptBytes) -> u64) -> Result<u64> {
    let bytes = kept.iter().map(|kept| u128::from(part(kept))).sum();
    cache::counted(bytes).ok_or_else(|| {
        let expected = format!("so short that all caches stay below {} bytes", crate::units::MAX_BYTES);
        Error::invalid_argument("contextLength", expected, format!("one with {bytes} bytes"))
    })
}
