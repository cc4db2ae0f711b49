//! Blocks that predict further tokens, used to draft for their own model (`--spec-type draft-mtp`).
//!
//! Source: `common_speculative_init_result` in `common/speculative.cpp`: a second context over the same weights, as long as the
//! first, with one output a slot; `llama_model::create_memory`: its cache has those blocks alone, and no layer that keeps a state;
//! `llama_context::output_reserve`: it gives a row of embeddings beside the logits, and the first context one of each token of a batch.
//! Models that can go back by tokens keep a state for each of them (`n_rs_seq`).

use gguf_file::GgufFile;

use super::{
    architecture::{Caches, IndexRow},
    cache::{self, KeptBytes},
    compute::{Subject, mtp_compute_bytes},
    extras::{ExtraBytes, ExtraKind, Phase},
    further_caches::in_index,
    hyperparameters::Hyperparameters,
    keys::Keys,
    kv_type::KvType,
    layers::Layers,
    options::{EstimateOptions, Run},
    placement::Offload,
    replay::BlockShapes,
};
use crate::error::{Error, Result};

/// A model that drafts for itself, with the blocks of its file that predict further tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MtpDraft {
    /// Tokens that are drafted at once. Default: 3, as the command line has it.
    pub draft_tokens: u64,
    /// How those blocks' keys are stored. Default: `F16`.
    pub kv_type_k: KvType,
    /// How those blocks' values are stored. Default: `F16`.
    pub kv_type_v: KvType,
}

impl Default for MtpDraft {
    fn default() -> Self {
        Self { draft_tokens: 3, kv_type_k: KvType::F16, kv_type_v: KvType::F16 }
    }
}

/// Families whose graph of those blocks llama.cpp has (`LLM_GRAPH_TYPE_DECODER_MTP`).
const FAMILIES: [&str; 16] = [
    "bailingmoe3",
    "cohere2moe",
    "deepseek2",
    "deepseek32",
    "deepseek4",
    "glm-dsa",
    "glm4moe",
    "glm5-next",
    "hy_v3",
    "mimo2",
    "nemotron_h_moe",
    "qwen35",
    "qwen35moe",
    "qwen3next",
    "qwen4exp",
    "step35",
];

/// Families whose states can go back by tokens (`llm_arch_supports_rs_rollback`).
const GOES_BACK: [&str; 8] = [
    "bailingmoe3",
    "deepseek4",
    "glm5-next",
    "nemotron_h",
    "nemotron_h_moe",
    "qwen35",
    "qwen35moe",
    "qwen4exp",
];

/// The most tokens that anybody drafts at once.
const MOST_DRAFTED: u64 = 1 << 16;

/// What is read of a model for it.
#[derive(Clone, Copy)]
pub(super) struct MtpSubject<'a> {
    pub(super) keys: &'a Keys<'a>,
    pub(super) files: &'a [&'a GgufFile],
    pub(super) model: &'a Hyperparameters<'a>,
    pub(super) layers: &'a Layers,
    pub(super) shapes: &'a BlockShapes,
}

/// Whether the model can: its family has the graph, and the file the blocks.
pub(super) fn check(of: MtpSubject<'_>, draft: &MtpDraft) -> Result<()> {
    const KEY: &str = "nextn_predict_layers";
    let MtpSubject { keys, files, model, .. } = of;
    if !FAMILIES.contains(&model.name) {
        let expected = "a family whose blocks for further tokens llama.cpp computes, for mtp";
        return Err(Error::invalid_model("general.architecture", expected, model.name));
    }
    if model.blocks == model.layers {
        return Err(keys.invalid(KEY, "at least 1, for mtp", "0"));
    }
    let name = format!("blk.{}.nextn.eh_proj.weight", model.layers);
    if files.iter().all(|file| file.tensor(&name).is_none()) {
        let ahead = (model.blocks - model.layers).to_string();
        return Err(keys.invalid(KEY, format!("of blocks in the file, for mtp: with {name}"), ahead));
    }
    if draft.draft_tokens == 0 || draft.draft_tokens > MOST_DRAFTED {
        let expected = format!("a whole number from 1 to {MOST_DRAFTED}");
        return Err(Error::invalid_argument("draftTokens", expected, draft.draft_tokens.to_string()));
    }
    Ok(())
}

/// What the second context takes, and what the first one has for it. Its weights are the model's.
///
/// The cache is what llama.cpp 0.6.0 takes, to the byte, and so are states; the compute buffers are a formula's, held to it for five
/// families. So the bound is wide, and said to be none.
pub(super) fn mtp_bytes(
    of: MtpSubject<'_>,
    draft: &MtpDraft,
    options: &EstimateOptions,
    (kept, offload): (&[KeptBytes], Offload<'_>),
) -> Result<ExtraBytes> {
    let MtpSubject { keys, files, model, layers, shapes } = of;
    let own = EstimateOptions {
        kv_type_k: draft.kv_type_k,
        kv_type_v: draft.kv_type_v,
        outputs: Some(options.parallel),
        ..*options
    };
    let run = Run::new(&own, model, layers)?;
    let compute = mtp_compute_bytes(Subject {
        keys,
        files,
        model,
        layers,
        shapes,
        run: &run,
        from_block: model.layers,
    })?;
    let goes_back = GOES_BACK.contains(&model.name);
    let drafted = if goes_back { draft.draft_tokens } else { 0 };
    let states =
        kept.iter().fold(0, |sum: u64, kept| sum.saturating_add(kept.state_bytes)).saturating_mul(drafted);
    // The layers of the first context write a state for each of the tokens.
    let written = kept.iter().map(|kept| kept.state_bytes).max().unwrap_or(0).saturating_mul(drafted);
    let rows = run.slots.saturating_mul(model.vocabulary + model.embedding);
    let rows = rows.saturating_add(run.batch.saturating_mul(model.embedding));
    let beside = cache_bytes(of, &run)?.saturating_add(states);
    let output_bytes = rows.saturating_mul(4);
    let sum = |compute: u64| beside.saturating_add(output_bytes).saturating_add(compute);
    let bound_bytes = sum(compute.bound_bytes.saturating_add(written.saturating_mul(2)));
    let of_gpu = if offload.is_used() { bound_bytes.saturating_sub(output_bytes) } else { 0 };
    Ok(ExtraBytes {
        kind: ExtraKind::Mtp,
        phase: Phase::Steady,
        size_bytes: sum(compute.best_bytes.saturating_add(written)),
        bound_bytes,
        is_bound: false,
        gpu_bytes: of_gpu,
    })
}

/// Keys and values of the blocks, in a cache of their own.
fn cache_bytes(of: MtpSubject<'_>, run: &Run) -> Result<u64> {
    let MtpSubject { keys, model, layers, .. } = of;
    let widest = cache::widest_value(model, layers);
    let mut bytes = 0_u64;
    for block in model.layers..model.blocks {
        let slides = layers.slides_ahead.get(block).copied().unwrap_or(false);
        let kept = cache::attended(model, run, (block, slides), widest)?;
        bytes = bytes.saturating_add(kept.key_bytes).saturating_add(kept.value_bytes);
        let row = match model.architecture.caches {
            Caches::PooledIndex => Some(IndexRow::KeyAndPooled),
            Caches::Index(_, row @ IndexRow::KeyGateAndPooled) => Some(row),
            _ => None,
        };
        if let Some(row) = row {
            bytes = bytes.saturating_add(in_index(keys, model, run, row)?);
        }
    }
    Ok(bytes)
}
