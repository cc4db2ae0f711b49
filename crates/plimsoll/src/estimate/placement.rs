//! On which device each part of a model is.
//!
//! Source: `llama_model::load_tensors` in `llama-model.cpp`: the token embeddings stay with the processor; the GPU gets the
//! last layers, the output matrix being the very last; the caches of a layer are where the layer is. Single tensors may be told to stay
//! with the processor (`tensor_buft_overrides`).

use gguf_file::GgufFile;

use super::{
    cache::KeptBytes,
    hyperparameters::Hyperparameters,
    options::Run,
    weights::{BlockBytes, WeightBytes, block_of, is_expert},
};

/// Where a part of a model is computed and kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ComputeDevice {
    /// The processor.
    Cpu,
    /// The GPU, also one that shares the processor's RAM.
    Gpu,
}

names!(ComputeDevice {
    Cpu => "cpu",
    Gpu => "gpu",
});

/// What one device holds of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceBytes {
    /// Which it is.
    pub device: ComputeDevice,
    /// Weights. An output matrix that is the token embeddings' stands on both.
    pub weights_bytes: u64,
    /// Of these, what are pages of the mapped file and no memory of the program's own.
    pub mapped_bytes: u64,
    /// Keys and values.
    pub kv_cache_bytes: u64,
    /// Recurrent states.
    pub state_bytes: u64,
    /// What its compute buffer takes at most.
    pub compute_bound_bytes: u64,
    /// The most that it holds at any time, with what comes on top.
    pub peak_bytes: u64,
}

/// How many blocks from the last on, and whether the output matrix, go to the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offload<'a> {
    /// The first block on the GPU; as many as there are blocks where none is.
    first_block: usize,
    /// Blocks that are loaded.
    loaded_blocks: usize,
    has_output: bool,
    /// The first blocks, whose experts stay with the processor wherever the rest of them is.
    cpu_expert_blocks: usize,
    /// The names of tensors that stay with the processor too, in their order.
    cpu_tensors: &'a [&'a str],
}

impl<'a> Offload<'a> {
    /// `cpu_tensors` are in order.
    pub(super) fn new(
        run: &Run,
        model: &Hyperparameters<'_>,
        loaded_blocks: usize,
        cpu_tensors: &'a [&'a str],
    ) -> Self {
        // The output matrix counts as a layer, the last.
        let wanted = usize::try_from(run.options.gpu_layers).unwrap_or(usize::MAX).min(model.blocks + 1);
        Self {
            first_block: (model.blocks + 1 - wanted).min(model.blocks),
            loaded_blocks,
            has_output: wanted > 0,
            cpu_expert_blocks: usize::try_from(run.options.cpu_moe_layers).unwrap_or(usize::MAX),
            cpu_tensors,
        }
    }

    /// Whether anything is on the GPU.
    pub(super) const fn is_used(self) -> bool {
        self.has_output
    }

    /// Where a block is.
    pub(super) const fn block(self, block: usize) -> ComputeDevice {
        if block >= self.first_block && self.is_used() { ComputeDevice::Gpu } else { ComputeDevice::Cpu }
    }

    /// Where a block's experts are.
    pub(super) const fn experts(self, block: usize) -> ComputeDevice {
        if block < self.cpu_expert_blocks { ComputeDevice::Cpu } else { self.block(block) }
    }

    /// Where a tensor is; `None` for one that is not loaded. The token embeddings are where they are looked up.
    pub(super) fn tensor(self, name: &str) -> Option<ComputeDevice> {
        let device = self.by_rule(name);
        if self.stays(name) { device.map(|_| ComputeDevice::Cpu) } else { device }
    }

    /// Whether the tensor was told to stay with the processor.
    fn stays(self, name: &str) -> bool {
        self.cpu_tensors.binary_search(&name).is_ok()
    }

    /// Where a tensor is that nothing was said of by its name.
    fn by_rule(self, name: &str) -> Option<ComputeDevice> {
        match block_of(name).map(usize::try_from) {
            None if name == "token_embd.weight" => Some(ComputeDevice::Cpu),
            None => Some(self.output()),
            Some(Ok(block)) if block < self.loaded_blocks => {
                Some(if is_expert(name) { self.experts(block) } else { self.block(block) })
            }
            Some(_) => None,
        }
    }

    /// Where the output matrix is.
    pub(super) const fn output(self) -> ComputeDevice {
        if self.has_output { ComputeDevice::Gpu } else { ComputeDevice::Cpu }
    }

    /// Whether the processor computes something, too.
    const fn is_partial(self) -> bool {
        self.is_used() && (self.first_block > 0 || self.cpu_expert_blocks > 0 || !self.cpu_tensors.is_empty())
    }
}

/// What is shared out.
#[derive(Clone, Copy)]
pub(super) struct Shares<'a> {
    pub(super) model: &'a Hyperparameters<'a>,
    pub(super) weights: &'a WeightBytes,
    pub(super) block_weights: &'a [BlockBytes],
    pub(super) files: &'a [&'a GgufFile],
    pub(super) kept: &'a [KeptBytes],
    pub(super) run: &'a Run,
    /// What a compute buffer takes at most.
    pub(super) bound_bytes: u64,
}

/// What each device holds: the processor first, then the GPU where it has anything.
pub(super) fn devices(shares: Shares<'_>, offload: Offload<'_>) -> Vec<DeviceBytes> {
    let Shares { model, weights, block_weights, files, kept, run, bound_bytes } = shares;
    let empty = |device| DeviceBytes {
        device,
        weights_bytes: 0,
        mapped_bytes: 0,
        kv_cache_bytes: 0,
        state_bytes: 0,
        compute_bound_bytes: 0,
        peak_bytes: 0,
    };
    // No sum here leaves 64 bits: each figure has 53 at most, and there are no more than 512 blocks.
    let (mut cpu, mut gpu) = (empty(ComputeDevice::Cpu), empty(ComputeDevice::Gpu));
    for (block, (weights, kept)) in block_weights.iter().zip(kept).enumerate() {
        let holder = match offload.block(block) {
            ComputeDevice::Cpu => &mut cpu,
            ComputeDevice::Gpu => &mut gpu,
        };
        holder.weights_bytes += weights.all_bytes;
        holder.kv_cache_bytes += kept.key_bytes + kept.value_bytes;
        holder.state_bytes += kept.state_bytes;
        if offload.experts(block) != offload.block(block) {
            gpu.weights_bytes -= weights.expert_bytes;
            cpu.weights_bytes += weights.expert_bytes;
        }
    }
    // Beside the blocks the token embeddings stay, and all else goes with the output matrix.
    let beside = weights.norms_bytes + weights.output_bytes + weights.other_bytes;
    let is_doubled = model.architecture.embeds_twice;
    let embedding =
        if is_doubled { weights.token_embedding_bytes / 2 } else { weights.token_embedding_bytes };
    cpu.weights_bytes += embedding;
    let copy = match offload.output() {
        _ if is_doubled => embedding,
        // Nothing else multiplies by it.
        // What stays as it was told is there once.
        ComputeDevice::Gpu if weights.output_bytes == 0 && model.architecture.has_output => {
            if offload.stays("token_embd.weight") { 0 } else { embedding }
        }
        ComputeDevice::Cpu | ComputeDevice::Gpu => 0,
    };
    match offload.output() {
        ComputeDevice::Cpu => cpu.weights_bytes += beside + copy,
        ComputeDevice::Gpu => gpu.weights_bytes += beside + copy,
    }
    let stays = staying_bytes(files, offload).min(gpu.weights_bytes);
    gpu.weights_bytes -= stays;
    cpu.weights_bytes += stays;
    if run.maps() {
        // What is kept twice stands in the file once.
        let second = if is_doubled && offload.output() == ComputeDevice::Cpu { embedding } else { 0 };
        cpu.mapped_bytes = cpu.weights_bytes.saturating_sub(second);
    }
    if !offload.is_used() {
        cpu.compute_bound_bytes = bound_bytes;
        return vec![cpu];
    }
    gpu.compute_bound_bytes = bound_bytes;
    cpu.compute_bound_bytes = input_bytes(model, run) + if offload.is_partial() { bound_bytes } else { 0 };
    vec![cpu, gpu]
}

/// Of what a GPU would have, the tensors that stay with the processor.
fn staying_bytes(files: &[&GgufFile], offload: Offload<'_>) -> u64 {
    if offload.cpu_tensors.is_empty() {
        return 0;
    }
    let tensors = files.iter().flat_map(|file| file.tensors());
    let staying = tensors.filter(|tensor| {
        offload.stays(tensor.name()) && offload.by_rule(tensor.name()) == Some(ComputeDevice::Gpu)
    });
    staying.fold(0, |sum: u64, tensor| sum.saturating_add(tensor.size_bytes()))
}

/// What the processor makes ready for a GPU: the embeddings of a micro-batch, and its masks, which are `F32` at most.
fn input_bytes(model: &Hyperparameters<'_>, run: &Run) -> u64 {
    let cells = (run.cells + run.window_cells).saturating_mul(run.streams);
    let elements = run.ubatch.saturating_mul(model.embedding.saturating_add(cells));
    elements.saturating_mul(4).min(crate::units::MAX_BYTES)
}
