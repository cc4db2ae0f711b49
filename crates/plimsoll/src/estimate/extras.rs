//! What a run needs beside its model's own parts.

use crate::sorting::sort_by_key;
use gguf_file::{GgufFile, Tensor, TensorType};

use super::{
    architecture::Architecture,
    cache::KeptBytes,
    layers::Layers,
    options::Run,
    placement::{ComputeDevice, Offload},
    processor::Processor,
    projector,
    repack::{Repacked, repacked},
};
use crate::{error::Result, units::MIB};

/// Memory that is no part of the model, or is a part a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraKind {
    /// Weights in an order that the processor multiplies faster.
    Repacked,
    /// Without a map: the largest tensor that goes through memory on its way to a GPU or into another order.
    ReadBuffer,
    /// Pages of the mapped file whose weights go to a GPU.
    MappedWeights,
    /// What CUDA keeps for itself. A figure that others reserve, not one that was measured.
    CudaOverhead,
    /// The weights of a projector for images or sound.
    Projector,
    /// What a projector computes an image in. A formula that was not measured.
    ImageBuffer,
    /// A draft model, whole.
    Draft,
    /// A context of the blocks that predict further tokens: what is theirs but the weights, and what the model's own context has for
    /// it. By the source alone, not measured.
    Mtp,
    /// Adapters (`LoRA`).
    Adapters,
    /// States of prompts that a server puts aside.
    PromptCache,
    /// States that a server goes back to, one in so many tokens. Older builds of llama.cpp make as many as they are told.
    Checkpoints,
}

names!(ExtraKind {
    Repacked => "repacked",
    ReadBuffer => "read-buffer",
    MappedWeights => "mapped-weights",
    CudaOverhead => "cuda-overhead",
    Projector => "projector",
    ImageBuffer => "image-buffer",
    Draft => "draft",
    Mtp => "mtp",
    Adapters => "adapters",
    PromptCache => "prompt-cache",
    Checkpoints => "checkpoints",
});

/// When memory is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Only while the model is loaded.
    Loading,
    /// From then on.
    Steady,
    /// Once the contexts are full, the caches too, and an image has come.
    Full,
}

names!(Phase {
    Loading => "loading",
    Steady => "steady",
    Full => "full",
});

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtraBytes {
    /// What it is.
    pub kind: ExtraKind,
    /// When it is in use.
    pub phase: Phase,
    /// As near as it is known.
    pub size_bytes: u64,
    /// What it takes at most, as far as that is known: see [`is_bound`](Self::is_bound).
    pub bound_bytes: u64,
    /// Whether the bound is one. Without, the figure is the best there is, and the kind says why.
    pub is_bound: bool,
    /// Of the bound, what lies on the GPU; all else is the processor's.
    pub gpu_bytes: u64,
}

/// What is loaded beside the model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    pub(super) projector: Option<&'a GgufFile>,
    pub(super) draft: Option<ExtraBytes>,
    pub(super) mtp: Option<ExtraBytes>,
    pub(super) adapters: &'a [&'a GgufFile],
}

/// What a context takes of a CUDA device before anything is allocated: what Ollama reserves for it (457 MiB).
const CUDA_OVERHEAD_BYTES: u64 = 457 * MIB;

/// Of a cell, beside keys and values, in a state that is put aside: its position and its sequences
/// (`llama_kv_cache::state_write_meta`), and room for the rotation's further positions.
const CELL_META_BYTES: u64 = 32;

/// Weights by their sums alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Assumed {
    /// How they are stored.
    pub(super) tensor_type: TensorType,
    pub(super) cpu_bytes: u64,
    pub(super) gpu_bytes: u64,
    /// The token embeddings that are the output matrix too; 0 where there is another.
    pub(super) tied_bytes: u64,
}

/// Tokens between two checkpoints of a slot (`checkpoint_min_step` in `common.h`).
const CHECKPOINT_STEP: u64 = 8192;

/// Checkpoints that a slot has near the end of its prompt, however short it is.
const CHECKPOINTS_AT_END: u64 = 2;

/// The parts of a model that extras are made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) files: &'a [&'a GgufFile],
    pub(super) architecture: &'static Architecture,
    pub(super) layers: &'a Layers,
    pub(super) run: &'a Run,
    pub(super) kept: &'a [KeptBytes],
    pub(super) offload: Offload<'a>,
    /// What is taken for the weights where their tensors are not known.
    pub(super) assumed: Option<Assumed>,
}

/// Everything that comes on top, in the order of [`ExtraKind`], what takes nothing left out.
pub(super) fn extras(parts: Parts<'_>, beside: Beside<'_>) -> Result<Vec<ExtraBytes>> {
    let run = parts.run;
    let mut all = loading(parts);
    let mut add = |kind, phase, size_bytes: u64, bound_bytes: u64, is_bound| {
        let is_of_gpu = match kind {
            ExtraKind::CudaOverhead | ExtraKind::Projector | ExtraKind::ImageBuffer | ExtraKind::Adapters => {
                parts.offload.is_used()
            }
            ExtraKind::Repacked
            | ExtraKind::ReadBuffer
            | ExtraKind::MappedWeights
            | ExtraKind::Draft
            | ExtraKind::Mtp
            | ExtraKind::PromptCache
            | ExtraKind::Checkpoints => false,
        };
        let gpu_bytes = if is_of_gpu { bound_bytes } else { 0 };
        all.push(ExtraBytes { kind, phase, size_bytes, bound_bytes, is_bound, gpu_bytes });
    };
    if parts.offload.is_used() && run.options.runtime.is_llama_cpp() {
        add(ExtraKind::CudaOverhead, Phase::Steady, CUDA_OVERHEAD_BYTES, CUDA_OVERHEAD_BYTES, false);
    }
    if let Some(file) = beside.projector {
        let weights = size_of(file);
        add(ExtraKind::Projector, Phase::Steady, weights, weights, true);
        let image = projector::image_bytes(file)?;
        add(ExtraKind::ImageBuffer, Phase::Full, image, image.saturating_mul(2), false);
    }
    let adapters = beside.adapters.iter().fold(0, |sum: u64, file| sum.saturating_add(size_of(file)));
    add(ExtraKind::Adapters, Phase::Steady, adapters, adapters, true);
    let (whole, checkpoint) = (slot_state_bytes(parts, |_| true), slot_state_bytes(parts, |slides| slides));
    let limit = run.options.prompt_cache_bytes.unwrap_or_else(|| run.options.runtime.prompt_cache_bytes());
    if limit > 0 {
        // What is put aside last is not yet counted when it is.
        let bytes = limit.saturating_add(whole);
        add(ExtraKind::PromptCache, Phase::Full, bytes, bytes, true);
    }
    let told = run.options.checkpoints.unwrap_or_else(|| run.options.runtime.checkpoints());
    let number = told.min(run.slot_tokens() / CHECKPOINT_STEP + CHECKPOINTS_AT_END);
    let checkpoints = number.saturating_mul(run.slots).saturating_mul(checkpoint);
    add(ExtraKind::Checkpoints, Phase::Full, checkpoints, checkpoints, false);
    all.extend(beside.draft.into_iter().chain(beside.mtp));
    all.retain(|extra| extra.bound_bytes > 0);
    sort_by_key(&mut all, |extra| ExtraKind::ALL.iter().position(|kind| *kind == extra.kind));
    Ok(all)
}

/// What loading takes beside the weights where they are kept.
fn loading(parts: Parts<'_>) -> Vec<ExtraBytes> {
    let Parts { files, run, offload, .. } = parts;
    let exact = |kind, phase, bytes| ExtraBytes {
        kind,
        phase,
        size_bytes: bytes,
        bound_bytes: bytes,
        is_bound: true,
        gpu_bytes: 0,
    };
    let mut all = Vec::new();
    let tensors = || files.iter().flat_map(|file| file.tensors());
    let repacked = run.repacks_for().map_or_else(Repacked::default, |processor| match parts.assumed {
        None => repacked(files, parts.architecture, processor, offload),
        Some(weights) => repacked_of(weights, processor, offload, largest(tensors())),
    });
    // Without a map the weights are read straight into their order, and kept once.
    let once_bytes = repacked.embedding_bytes.saturating_add(repacked.added_bytes);
    let twice_bytes = if run.maps() { repacked.size_bytes } else { once_bytes };
    all.push(exact(ExtraKind::Repacked, Phase::Steady, twice_bytes));
    let is_of_gpu = |tensor: &Tensor<'_>| offload.tensor(tensor.name()) == Some(ComputeDevice::Gpu);
    if run.maps() && offload.is_used() {
        let bytes = match parts.assumed {
            Some(weights) => weights.gpu_bytes,
            None => tensors()
                .filter(is_of_gpu)
                .fold(0, |sum: u64, tensor| sum.saturating_add(tensor.size_bytes())),
        };
        all.push(exact(ExtraKind::MappedWeights, Phase::Loading, bytes));
    } else if !run.maps() && run.options.runtime.is_llama_cpp() {
        let of_gpu = if offload.is_used() { largest(tensors().filter(is_of_gpu)) } else { 0 };
        all.push(exact(ExtraKind::ReadBuffer, Phase::Loading, repacked.largest_bytes.max(of_gpu)));
    }
    all
}

/// What is packed anew of weights that are known by their sums alone.
fn repacked_of(weights: Assumed, processor: Processor, offload: Offload<'_>, largest_bytes: u64) -> Repacked {
    let packed = |bytes| processor.packed_bytes_of(weights.tensor_type, bytes);
    let Some(size_bytes) = packed(weights.cpu_bytes) else { return Repacked::default() };
    let tied_bytes = if offload.is_used() { 0 } else { weights.tied_bytes };
    let others_bytes = weights.cpu_bytes.saturating_sub(tied_bytes);
    Repacked {
        size_bytes,
        added_bytes: packed(others_bytes).unwrap_or(others_bytes).saturating_sub(others_bytes),
        embedding_bytes: packed(tied_bytes).unwrap_or(tied_bytes),
        largest_bytes,
    }
}

fn largest<'a>(tensors: impl Iterator<Item = Tensor<'a>>) -> u64 {
    tensors.map(|tensor| tensor.size_bytes()).max().unwrap_or(0)
}

fn size_of(file: &GgufFile) -> u64 {
    file.tensors().fold(0, |sum: u64, tensor| sum.saturating_add(tensor.size_bytes()))
}

/// What the state of one slot takes that is put aside with its context full: recurrent states, and the keys and values of
/// the layers that `keeps` says. A checkpoint leaves out what sees everything, for that can be computed back.
fn slot_state_bytes(parts: Parts<'_>, keeps: impl Fn(bool) -> bool) -> u64 {
    let run = parts.run;
    let of = |(kept, kind): (&KeptBytes, &super::layers::LayerKind)| {
        let state = kept.state_bytes / run.slots;
        let rows = run.streams.saturating_mul(kept.cells).max(1);
        let own = if kind.slides { run.cells_of_window(parts.layers.window) } else { run.slot_tokens() };
        let used = own.min(kept.cells);
        let bytes = u128::from(kept.key_bytes + kept.value_bytes) * u128::from(used) / u128::from(rows);
        let cells = if keeps(kind.slides) { u64::try_from(bytes).unwrap_or(u64::MAX) } else { 0 };
        state.saturating_add(cells)
    };
    let layers = parts.kept.iter().zip(&parts.layers.kinds).map(of).fold(0_u64, u64::saturating_add);
    let meta = if layers > 0 { CELL_META_BYTES.saturating_mul(run.cells) } else { 0 };
    layers.saturating_add(meta)
}
