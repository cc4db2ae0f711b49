//! What a caller may say about the run whose memory is estimated.

use super::{
    architecture::{Caches, LayerMemory},
    hyperparameters::Hyperparameters,
    kv_type::KvType,
    layers::Layers,
    llama_version::LlamaCppVersion,
    processor::Processor,
    runtime::Runtime,
};
use crate::{
    error::{Error, Result},
    units::MAX_BYTES,
};

/// The most slots that one context may have: llama.cpp's own limit (`LLAMA_MAX_SEQ`).
const MOST_SLOTS: u64 = 256;

/// The largest number of tokens: llama.cpp holds them in 32 bits with a sign.
const MOST_TOKENS: u64 = i32::MAX as u64;

/// Cells of a cache come in so many at a time (`GGML_PAD(n_ctx, 256)` in `llama-context.cpp`).
const CELL_STEP: u64 = 256;

/// How the model will be run. The defaults are those of llama.cpp's command line.
// Switches of a program, each its own.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EstimateOptions {
    /// Tokens of one slot; the whole cache holds `context_length x parallel`. Default: as many as the model was trained with.
    pub context_length: Option<u64>,
    /// Slots: sequences that are worked on at the same time. Default: 1.
    pub parallel: u64,
    /// How keys are stored. Default: `F16`.
    pub kv_type_k: KvType,
    /// How values are stored; blocks of them need flash attention. Default: `F16`.
    pub kv_type_v: KvType,
    /// Whether attention is computed without keeping its scores. Default: `true`.
    pub flash_attention: bool,
    /// Tokens that are given at once. Default: 2048.
    pub batch: u64,
    /// Tokens that are computed at once, at most `batch`. Default: 512.
    pub ubatch: u64,
    /// Tokens of a batch whose logits are wanted (`n_outputs_max`). Default: of all, as the library reserves them; llama-server asks
    /// for one a slot. Default: as the runtime has it.
    pub outputs: Option<u64>,
    /// Whether layers with a window keep the whole context. Default: `false`, as the command line has it; the library says `true`.
    pub swa_full: bool,
    /// Whether all slots share one cache. Default: `false`.
    pub unified_kv: bool,
    /// Whether embeddings are wanted, not logits. Default: `false`.
    pub embeddings: bool,
    /// The program that runs the model. Default: llama.cpp.
    pub runtime: Runtime,
    /// The version of llama.cpp. Without it the guess at the compute buffer is that of the first of
    /// [`LlamaCppVersion::ALL`], and the bound covers all of them.
    pub llama_cpp_version: Option<LlamaCppVersion>,
    /// Layers on the GPU, from the last on; the output matrix is the first of them to go there. A number above that of the
    /// layers means all. Default: 0.
    pub gpu_layers: u64,
    /// The first layers, whose experts stay with the processor though the rest of them is on the GPU. Default: 0.
    pub cpu_moe_layers: u64,
    /// Whether the processor's weights are pages of the mapped file, not memory of the program's own. Default: `true`; a
    /// generic runtime maps nothing.
    pub mmap: bool,
    /// Whether weights that a processor has a faster order for are kept a second time in it, and for which processor. Default:
    /// that of this machine; a generic runtime repacks nothing.
    pub repack: Option<Processor>,
    /// Bytes that a server's cache of prompts may take. Default: as the runtime has it.
    pub prompt_cache_bytes: Option<u64>,
    /// Checkpoints that a server keeps of each slot, where the model has a window or a state. Default: as the runtime has it.
    pub checkpoints: Option<u64>,
    /// Whether something is asked of the run that no option here says: the bound of the compute buffer is half as much again
    /// then. Default: `false`.
    pub widened: bool,
}

impl Default for EstimateOptions {
    fn default() -> Self {
        Self {
            context_length: None,
            parallel: 1,
            kv_type_k: KvType::F16,
            kv_type_v: KvType::F16,
            flash_attention: true,
            batch: 2048,
            ubatch: 512,
            outputs: None,
            swa_full: false,
            unified_kv: false,
            embeddings: false,
            runtime: Runtime::default(),
            llama_cpp_version: None,
            gpu_layers: 0,
            cpu_moe_layers: 0,
            mmap: true,
            repack: Some(Processor::own()),
            prompt_cache_bytes: None,
            checkpoints: None,
            widened: false,
        }
    }
}

/// The options, checked and rounded as llama.cpp rounds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) options: EstimateOptions,
    /// Tokens of one slot, as asked for.
    pub(super) context_length: u64,
    /// Slots.
    pub(super) slots: u64,
    /// Caches side by side: one a slot, or one for all.
    pub(super) streams: u64,
    /// Cells of each, in a layer that sees everything.
    pub(super) cells: u64,
    /// The same in a layer that slides.
    pub(super) window_cells: u64,
    /// Tokens that are given at once.
    pub(super) batch: u64,
    /// Tokens that are computed at once.
    pub(super) ubatch: u64,
    /// Tokens of a batch whose logits are wanted; `None` for all.
    pub(super) outputs: Option<u64>,
}

impl Run {
    pub(super) fn new(
        options: &EstimateOptions,
        model: &Hyperparameters<'_>,
        layers: &Layers,
    ) -> Result<Self> {
        let slots = within("parallel", options.parallel, MOST_SLOTS)?;
        let context_length = options.context_length.unwrap_or(model.context_length);
        let context_length = within("contextLength", context_length, MOST_TOKENS / slots)?;
        let batch = within("batch", options.batch, MOST_TOKENS)?;
        let ubatch = within("ubatch", options.ubatch, MOST_TOKENS)?;
        if let Some(outputs) = options.outputs {
            within("outputs", outputs, MOST_TOKENS)?;
        }
        if let Some(bytes) = options.prompt_cache_bytes.filter(|bytes| *bytes > MAX_BYTES) {
            let expected = format!("at most {MAX_BYTES}");
            return Err(Error::invalid_argument("promptCacheBytes", expected, bytes.to_string()));
        }
        if let Some(checkpoints) = options.checkpoints.filter(|number| *number > MOST_TOKENS) {
            let expected = format!("at most {MOST_TOKENS}");
            return Err(Error::invalid_argument("checkpoints", expected, checkpoints.to_string()));
        }
        check_types(options, model)?;
        let context = context_length * slots;
        // Encoders need their whole text at once, so the context does not bound their batch.
        let batch =
            if model.architecture.memory == LayerMemory::Nothing { batch } else { batch.min(context) };
        let ubatch = ubatch.min(batch);
        let padded = context.next_multiple_of(CELL_STEP);
        let cells = if options.unified_kv { padded } else { (padded / slots).next_multiple_of(CELL_STEP) };
        let is_shared = options.unified_kv && model.architecture.caches != Caches::Compressed;
        let shared_by = if is_shared { slots } else { 1 };
        let window_cells = match layers.window {
            Some(window) if !options.swa_full => {
                (window * shared_by + ubatch).min(cells).next_multiple_of(CELL_STEP)
            }
            _ => cells,
        };
        Ok(Self {
            options: *options,
            context_length,
            slots,
            streams: if is_shared { 1 } else { slots },
            cells,
            window_cells,
            batch,
            ubatch,
            outputs: options.outputs.or_else(|| options.runtime.outputs(slots)),
        })
    }

    /// Whether the processor's weights are pages of the file.
    pub(super) const fn maps(&self) -> bool {
        self.options.mmap && self.options.runtime.is_llama_cpp()
    }

    /// The processor whose order of weights is kept beside theirs.
    pub(super) const fn repacks_for(&self) -> Option<Processor> {
        if self.options.runtime.is_llama_cpp() { self.options.repack } else { None }
    }

    /// Tokens that one slot may have at most: with one cache for all of them, one may fill it alone.
    pub(super) const fn slot_tokens(&self) -> u64 {
        if self.options.unified_kv { self.cells } else { self.context_length }
    }

    /// Cells that one slot fills of a window, with the micro-batch that comes in.
    pub(super) fn cells_of_window(&self, window: Option<u64>) -> u64 {
        match window {
            Some(window) if !self.options.swa_full => (window + self.ubatch).next_multiple_of(CELL_STEP),
            _ => self.context_length,
        }
    }

    /// Cells of each cache in a layer that slides, or does not.
    pub(super) const fn cells_of(&self, slides: bool) -> u64 {
        if slides { self.window_cells } else { self.cells }
    }
}

fn within(name: &'static str, number: u64, most: u64) -> Result<u64> {
    if (1..=most).contains(&number) {
        return Ok(number);
    }
    Err(Error::invalid_argument(name, format!("a whole number from 1 to {most}"), number.to_string()))
}

/// Whether the cache may be stored so.
fn check_types(options: &EstimateOptions, model: &Hyperparameters<'_>) -> Result<()> {
    let value_type = options.kv_type_v;
    for (name, kv_type, widths) in [
        ("kvTypeK", options.kv_type_k, [model.full.key, model.sliding.key]),
        ("kvTypeV", value_type, [model.full.value, model.sliding.value]),
    ] {
        let block = kv_type.block_elements();
        if let Some(width) = widths.into_iter().find(|width| width % block != 0) {
            let expected = format!("a type whose blocks divide the {width} elements of a head");
            return Err(Error::invalid_argument(
                name,
                expected,
                format!("{}, with blocks of {block}", kv_type.name()),
            ));
        }
    }
    if value_type.block_elements() > 1 && !options.flash_attention {
        let expected = "f32, f16 or bf16 without flash attention";
        return Err(Error::invalid_argument("kvTypeV", expected, value_type.name()));
    }
    Ok(())
}
