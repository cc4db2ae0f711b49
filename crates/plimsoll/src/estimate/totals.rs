//! What all parts take together, and when.

use super::{
    cache::KeptBytes,
    extras::{ExtraBytes, ExtraKind, Phase},
    layers::Layers,
    placement::{ComputeDevice, DeviceBytes, Offload},
};

/// What a model and all that belongs to its run take together, at most: compute buffers and extras by their bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TotalBytes {
    /// While the weights are loaded, before there is a context.
    pub loading_bytes: u64,
    /// With a context, before the first token.
    pub steady_bytes: u64,
    /// With every context full, every cache at its limit, and an image in work.
    pub full_bytes: u64,
    /// The largest of the three.
    pub peak_bytes: u64,
    /// The largest single allocation: a device must have that much in one piece. A mapped file is none.
    pub largest_allocation_bytes: u64,
}

/// The parts to add up.
#[derive(Clone, Copy)]
pub(super) struct Addends<'a> {
    pub(super) devices: &'a [DeviceBytes],
    pub(super) extras: &'a [ExtraBytes],
    pub(super) kept: &'a [KeptBytes],
    pub(super) layers: &'a Layers,
    pub(super) offload: Offload<'a>,
    pub(super) output_bytes: u64,
    /// The processor's weights are pages of a file.
    pub(super) maps: bool,
    /// Those of the draft model, which is loaded when the other has its context.
    pub(super) draft: Option<TotalBytes>,
}

pub(super) fn totals(addends: Addends<'_>) -> TotalBytes {
    let Addends { devices, extras, output_bytes, draft, .. } = addends;
    let weights = sum(devices.iter().map(|device| device.weights_bytes));
    let context = sum(devices
        .iter()
        .flat_map(|device| [device.kv_cache_bytes, device.state_bytes, device.compute_bound_bytes])
        .chain([output_bytes]));
    let of = |phase| sum(extras.iter().filter(|extra| extra.phase == phase).map(|extra| extra.bound_bytes));
    let repacked =
        sum(extras.iter().filter(|extra| extra.kind == ExtraKind::Repacked).map(|extra| extra.bound_bytes));
    let steady_bytes = sum([weights, context, of(Phase::Steady)]);
    let with_draft = draft.map_or(0, |draft| {
        let without = steady_bytes.saturating_sub(draft.steady_bytes);
        without.saturating_add(draft.loading_bytes)
    });
    let loading_bytes = sum([weights, repacked, of(Phase::Loading)]).max(with_draft);
    let full_bytes = sum([steady_bytes, of(Phase::Full)]);
    TotalBytes {
        loading_bytes,
        steady_bytes,
        full_bytes,
        peak_bytes: loading_bytes.max(full_bytes),
        largest_allocation_bytes: largest_allocation(addends),
    }
}

/// Weights, caches and compute buffers are one allocation each on each device; what slides, what sees everything and states
/// are caches of their own.
fn largest_allocation(addends: Addends<'_>) -> u64 {
    let Addends { devices, extras, kept, layers, offload, output_bytes, maps, draft } = addends;
    let own = devices
        .iter()
        .map(|device| device.weights_bytes.saturating_sub(if maps { device.mapped_bytes } else { 0 }))
        .chain(devices.iter().map(|device| device.compute_bound_bytes))
        .chain([output_bytes, draft.map_or(0, |draft| draft.largest_allocation_bytes)]);
    let cache = |device, part: &dyn Fn(&KeptBytes, bool) -> u64| {
        let blocks = kept.iter().zip(&layers.kinds).enumerate();
        let here = blocks.filter(|(block, _)| offload.block(*block) == device);
        sum(here.map(|(_, (kept, kind))| part(kept, kind.slides)))
    };
    let keys_and_values = |kept: &KeptBytes| kept.key_bytes + kept.value_bytes;
    let caches = [ComputeDevice::Cpu, ComputeDevice::Gpu].into_iter().flat_map(|device| {
        [
            cache(device, &|kept, slides| if slides { keys_and_values(kept) } else { 0 }),
            cache(device, &|kept, slides| if slides { 0 } else { keys_and_values(kept) }),
            cache(device, &|kept, _| kept.state_bytes),
        ]
    });
    let single = extras.iter().filter(|extra| match extra.kind {
        ExtraKind::Repacked
        | ExtraKind::ReadBuffer
        | ExtraKind::Projector
        | ExtraKind::ImageBuffer
        | ExtraKind::Mtp
        | ExtraKind::Adapters => true,
        ExtraKind::MappedWeights
        | ExtraKind::CudaOverhead
        | ExtraKind::Draft
        | ExtraKind::PromptCache
        | ExtraKind::Checkpoints => false,
    });
    own.chain(caches).chain(single.map(|extra| extra.bound_bytes)).max().unwrap_or(0)
}

/// The most that a device holds at any time: while the weights are loaded, or with everything full.
pub(super) fn peak_bytes(addends: Addends<'_>, device: &DeviceBytes) -> u64 {
    let is_gpu = device.device == ComputeDevice::Gpu;
    let of = |phase| {
        let extras = addends.extras.iter().filter(|extra| extra.phase == phase);
        sum(extras.map(|extra| {
            if is_gpu { extra.gpu_bytes } else { extra.bound_bytes.saturating_sub(extra.gpu_bytes) }
        }))
    };
    let output_bytes = if is_gpu { 0 } else { addends.output_bytes };
    let steady = [device.kv_cache_bytes, device.state_bytes, device.compute_bound_bytes, output_bytes];
    let full = sum(steady).saturating_add(of(Phase::Full));
    // What is repacked is there from the first weight on, with all that is there for good.
    sum([device.weights_bytes, of(Phase::Steady), full.max(of(Phase::Loading))])
}

fn sum(bytes: impl IntoIterator<Item = u64>) -> u64 {
    bytes.into_iter().fold(0, u64::saturating_add)
}
