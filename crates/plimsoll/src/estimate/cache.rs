//! What the layers keep of the tokens before: keys, values and recurrent states.

use super::{
    architecture::{Caches, LayerMemory, StateKind},
    hyperparameters::Hyperparameters,
    keys::Keys,
    layers::Layers,
    options::Run,
};
use crate::{
    error::{Error, Result},
    units::MAX_BYTES,
};

/// Bytes of one element of a state, which is always `F32`.
const STATE_ELEMENT_BYTES: u128 = 4;

/// What one layer keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct KeptBytes {
    /// Cells of each of its caches; 0 without any.
    pub(super) cells: u64,
    pub(super) key_bytes: u64,
    pub(super) value_bytes: u64,
    pub(super) state_bytes: u64,
}

/// What each block keeps, in one cache; `further_caches` adds what some families keep besides.
///
/// No product here leaves 128 bits: a hyperparameter has 32, and none has more than three of them beside cells, slots and
/// blocks.
pub(super) fn kept(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    layers: &Layers,
    run: &Run,
) -> Result<Vec<KeptBytes>> {
    let state_bytes = match model.architecture.memory {
        LayerMemory::Recurrent(kind) | LayerMemory::Hybrid(_, kind) => state_bytes(keys, model, kind, run)?,
        LayerMemory::Nothing | LayerMemory::Attention => 0,
    };
    let widest = widest_value(model, layers);
    let kinds = layers.kinds.iter().enumerate();
    let kept = |(layer, kind): (usize, &super::layers::LayerKind)| {
        let mut kept = KeptBytes::default();
        if kind.keeps_kv {
            kept = attended(model, run, (layer, kind.slides), widest)?;
        }
        if kind.keeps_state {
            kept.state_bytes = state_bytes;
        }
        Ok(kept)
    };
    kinds.map(kept).collect()
}

/// Keys and values of a layer that has its own, in a model whose widest values of a token have so many elements.
pub(super) fn attended(
    model: &Hyperparameters<'_>,
    run: &Run,
    (layer, slides): (usize, bool),
    widest: u128,
) -> Result<KeptBytes> {
    let has_values = !model.is_latent && model.architecture.caches != Caches::Compressed;
    let heads = u128::from(model.kv_heads_of(layer));
    let widths = model.head_widths(slides);
    let cells = run.cells_of(slides);
    let rows = u128::from(run.streams) * u128::from(cells);
    let elements = rows * heads * u128::from(widths.key);
    let mut kept = KeptBytes { cells, ..KeptBytes::default() };
    kept.key_bytes = cache_bytes(elements, run.options.kv_type_k.tensor_type())?;
    if has_values {
        let value = if run.options.flash_attention { heads * u128::from(widths.value) } else { widest };
        kept.value_bytes = cache_bytes(rows * value, run.options.kv_type_v.tensor_type())?;
    }
    Ok(kept)
}

/// Elements of one token's values in the layer that has most: without flash attention every layer's are padded to it
/// (`TAG_V_CACHE_VARIABLE` in `llama-kv-cache.cpp`).
pub(super) fn widest_value(model: &Hyperparameters<'_>, layers: &Layers) -> u128 {
    let of = |(layer, kind): (usize, &super::layers::LayerKind)| {
        u128::from(model.kv_heads_of(layer)) * u128::from(model.head_widths(kind.slides).value)
    };
    layers.kinds.iter().enumerate().map(of).max().unwrap_or(0)
}

/// Bytes of so many elements of a cache.
pub(super) fn cache_bytes(elements: u128, kv_type: gguf_file::TensorType) -> Result<u64> {
    // Whole blocks: the type was checked against the width of a head.
    let bytes = elements / u128::from(kv_type.block_elements()) * u128::from(kv_type.block_bytes());
    counted(bytes).ok_or_else(|| {
        Error::invalid_argument(
            "contextLength",
            format!("so short that the cache of a layer stays below {MAX_BYTES} bytes"),
            format!("one with {bytes} bytes"),
        )
    })
}

/// The state of one layer for all slots: `llama_hparams::n_embd_r` and `n_embd_s` elements for each.
fn state_bytes(keys: &Keys<'_>, model: &Hyperparameters<'_>, kind: StateKind, run: &Run) -> Result<u64> {
    let required = |key| keys.required(key).map(u128::from);
    let positive = |key| keys.positive(key).map(u128::from);
    let convolved = |key| keys.positive(key).map(|inputs| u128::from(inputs) - 1);
    let elements = match kind {
        // Without groups the convolution runs over the inner channels alone.
        StateKind::Mamba | StateKind::GroupedMamba => {
            let groups = if kind == StateKind::Mamba { 0 } else { required("ssm.group_count")? };
            let (inner, state) = (positive("ssm.inner_size")?, positive("ssm.state_size")?);
            convolved("ssm.conv_kernel")? * (inner + 2 * groups * state) + state * inner
        }
        StateKind::Rwkv => {
            let tokens = keys.optional("token_shift_count")?.unwrap_or(2);
            u128::from(model.embedding) * (u128::from(tokens) + u128::from(keys.positive("wkv.head_size")?))
        }
        StateKind::ShortConvolution => u128::from(model.embedding) * convolved("shortconv.l_cache")?,
        StateKind::DeltaAttention => {
            let heads = u128::from(model.heads.first().copied().unwrap_or(0));
            let width = u128::from(keys.positive("kda.head_dim")?);
            3 * convolved("ssm.conv_kernel")? * heads * width + width * width * heads
        }
        StateKind::LightningAttention => {
            let heads = u128::from(model.heads.first().copied().unwrap_or(0));
            u128::from(model.full.key) * u128::from(model.full.key) * heads
        }
    };
    state_of(elements, run).map_err(|bytes| {
        let key = match kind {
            StateKind::Mamba | StateKind::GroupedMamba => "ssm.state_size",
            StateKind::Rwkv => "wkv.head_size",
            StateKind::ShortConvolution => "shortconv.l_cache",
            StateKind::DeltaAttention => "kda.head_dim",
            StateKind::LightningAttention => "attention.key_length",
        };
        state_error(keys, key, bytes)
    })
}

/// Bytes of a state of so many elements for all slots; too many of them as the error.
pub(super) fn state_of(elements: u128, run: &Run) -> std::result::Result<u64, u128> {
    let bytes = elements * u128::from(run.slots) * STATE_ELEMENT_BYTES;
    counted(bytes).ok_or(bytes)
}

/// The error that a state has more bytes than a size may have.
pub(super) fn state_error(keys: &Keys<'_>, key: &str, bytes: u128) -> Error {
    let expected = format!("so small that a state stays below {MAX_BYTES} bytes");
    keys.invalid(key, expected, format!("one with {bytes}"))
}

/// Bytes that a figure may have.
pub(super) fn counted(bytes: u128) -> Option<u64> {
    u64::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_BYTES)
}
