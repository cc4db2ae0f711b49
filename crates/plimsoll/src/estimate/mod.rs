//! What a model needs on this machine, from its file's header alone.
//!
//! [`estimate`] gives the bytes of weights, of keys and values, of recurrent states and of the output buffer, as llama.cpp counts
//! them, to the byte; the compute buffer to the byte where the family's graph is replayed, else by a formula with a margin. The
//! tests hold all of it to llama.cpp's own figures.
//!
//! # Formulas and their sources
//!
//! Names in brackets are functions and files of llama.cpp. A *slot* is one sequence, a *cell* what a cache holds of one token.
//!
//! - **Weights**: the sum over the tensor infos, without the blocks that predict further tokens (`nextn_predict_layers`), which
//!   are not loaded; a few families keep the token embeddings twice (`llama-model-loader.cpp`).
//! - **Cells**: the context of all slots rounded up to 256, divided among them and rounded up again; with one cache for all slots
//!   (`unified_kv`) not divided (`llama_context::llama_context`). A layer that slides has as many as its window and one micro-batch
//!   take, rounded up to 256, and never more than the others (`llama_kv_cache_iswa`); a shared cache holds a window for each slot.
//! - **Keys and values**: for each layer that has its own, caches x cells x key-value heads x width of a head, in the type asked for
//!   (`llama_kv_cache`). Without flash attention the values of every layer are as wide as the widest. With latent attention keys
//!   alone are kept. Sparse attention keeps the keys of an index besides, one head in every cell (`llama_kv_cache_dsa`,
//!   `llama_kv_cache_msa`, `llama_memory_hybrid_idx`), or one key for so many tokens (`llama_kv_cache_dsv4`); they count as the
//!   layer's keys.
//! - **Recurrent state**, always `F32`, for each slot and layer (`llama_hparams::n_embd_r`, `n_embd_s`), in elements:
//!   - Mamba: (convolution - 1) x (inner + 2 x groups x state) + state x inner, without groups in the first version;
//!   - RWKV: embedding x (shifted tokens + head size);
//!   - short convolutions: embedding x (convolution - 1);
//!   - Kimi's delta attention: 3 x (convolution - 1) x heads x width + heads x width x width;
//!   - lightning attention: heads x width x width;
//!   - compressed keys: 2 x width x tokens of one key, and four times the width of key and index where there is an index.
//! - **Output buffer**: one row of logits, `F32`, for each slot, and one of embeddings where they are asked for
//!   (`llama_context::output_reserve`).
//!
//! - **Compute buffer**, on the CPU back end, of the version of llama.cpp that is named, or the guess of the first and the bound of all: the tensors of a micro-batch, placed one after the other as ggml's allocator places
//!   them, in the order of the graph that llama.cpp builds for the family (`replay/`). So the figure has no margin, and
//!   [`ModelMemoryEstimate::is_compute_exact`] says so. `replay/family.rs` is the list of these families. Others, and files that
//!   lack a tensor of their family's graph, have the formula in `compute.rs`, found on llama.cpp's figures and up to 18.7 % too
//!   low for them, with a margin of 1 MiB and 25 % for the bound, 30 % where layers keep states beside others that attend, 50 %
//!   for an unknown family, or one whose row is out of the source alone. Nor is the bound below layers and logits together.
//!
//! Which layers slide, keep a state or share is one table, `architectures.rs`: one row a family. A family that is not in it is
//! estimated as a plain transformer, and [`ModelMemoryEstimate::is_known`] says so.

mod architecture;
mod architectures;
mod cache;
mod companion_files;
mod compute;
mod estimator;
mod extras;
mod fit;
mod further_caches;
mod hyperparameters;
mod keys;
mod kv_type;
mod layers;
mod llama_version;
mod model_memory;
mod mtp;
mod options;
mod placement;
mod processor;
mod projector;
mod quantization;
mod repack;
mod replay;
mod runtime;
mod shape;
mod tensor_shapes;
mod totals;
mod verify;
mod weights;

pub use estimator::{Companions, Draft, Estimator, estimate};
pub use extras::{ExtraBytes, ExtraKind, Phase};
pub use fit::{Configuration, Fit, FitAxis, FitLimits, FitOptions, Trade, fit};
pub use kv_type::KvType;
pub use llama_version::LlamaCppVersion;
pub use model_memory::{LayerBytes, ModelMemoryEstimate};
pub use mtp::MtpDraft;
pub use options::EstimateOptions;
pub use placement::{ComputeDevice, DeviceBytes};
pub use processor::Processor;
pub use quantization::{QUANTIZATIONS, Quantization, rule_of_thumb_bytes};
pub use runtime::Runtime;
pub use shape::{ModelShape, TYPICAL_SHAPES, TypicalShape, estimate_shape, estimate_shape_of};
pub use totals::TotalBytes;
pub use verify::{
    ComponentUse, HeldParts, MeasuredBytes, MemoryUse, UseComponent, UseSignal, UseVerdict, Verification,
    VerifyOptions, verify,
};
pub use weights::{TypeBytes, WeightBytes};
