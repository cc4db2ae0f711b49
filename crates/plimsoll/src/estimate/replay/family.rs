//! How the graphs of model families differ: one row each.

/// What a family's graph does, where others do something else.
// Each differs from the common graph by itself.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Family {
    /// `general.architecture`.
    pub(super) name: &'static str,
    /// Norms divide by the root of the mean square, and work in place; else they subtract the mean first, and do not.
    pub(super) has_rms_norms: bool,
    /// A norm comes before attention and before the feed-forward network.
    pub(super) norms_before: bool,
    /// Norms follow attention and feed-forward network, too.
    pub(super) norms_after: bool,
    /// Queries and keys are normed as whole rows; else head by head.
    pub(super) norms_rows: bool,
    pub(super) residual: Residual,
    pub(super) rotated: Rotated,
    /// Positions of one token: pictures have several.
    pub(super) positions: u64,
    /// An embedding of its position is added to that of each token.
    pub(super) embeds_positions: bool,
    /// A norm follows the embeddings.
    pub(super) norms_embeddings: bool,
    /// Embeddings of tokens are multiplied by a figure of their width: where they may be mixed with given ones, row by row.
    pub(super) scales_embeddings: bool,
    /// Queries are multiplied by a figure of their position, where `attention.temperature_scale` says so.
    pub(super) scales_queries: bool,
    /// Experts that every token passes go beside the chosen ones.
    pub(super) shares_experts: bool,
    pub(super) picks: Picks,
    /// The sum after attention lies over what went around it; else over its result.
    pub(super) adds_attention_to_residual: bool,
    /// The same of the sum after the feed-forward network.
    pub(super) adds_feed_forward_to_residual: bool,
    pub(super) expert_weights: ExpertWeights,
}

/// What goes around attention and feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Residual {
    /// The input around attention, and their sum around the feed-forward network.
    Sums,
    /// The same, but without a norm of its own the feed-forward network reads what attention reads.
    SumsOrShares,
    /// The feed-forward network reads what attention reads; its result and the input are added first.
    FeedForwardFirst,
    /// The same; the results of both are added first.
    AttentionFirst,
}

/// Which layers turn queries and keys by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rotated {
    All,
    /// Those that slide.
    Sliding,
    /// Those that slide; all where none does.
    SlidingIfAny,
    /// All but the last of every so many.
    AllButLastOf(usize),
    /// None where `rope.scaling.finetuned` says so.
    UnlessSwitchedOff,
    /// None.
    Nowhere,
}

/// Where the tokens whose logits are wanted are picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Picks {
    /// In the last layer, before what attention makes is added to the input.
    BeforeSums,
    /// In the last layer, after that sum.
    AfterFirstSum,
    /// After the last layer, whose result is kept.
    AfterLayers,
    /// After the last norm, whose result is kept.
    AfterNorm,
}

/// What the weights of the chosen experts are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExpertWeights {
    /// Probabilities of all experts.
    Plain,
    /// The same, divided by the sum of the chosen ones.
    Divided,
    /// The logits of the chosen ones alone.
    Chosen,
    /// `expert_weights_norm` says whether they are divided, and `expert_weights_scale` by what they are multiplied.
    Keys,
}

const COMMON: Family = Family {
    name: "",
    has_rms_norms: true,
    norms_before: true,
    norms_after: false,
    norms_rows: false,
    residual: Residual::Sums,
    rotated: Rotated::All,
    positions: 1,
    embeds_positions: false,
    norms_embeddings: false,
    scales_embeddings: false,
    scales_queries: false,
    shares_experts: false,
    picks: Picks::BeforeSums,
    adds_attention_to_residual: false,
    adds_feed_forward_to_residual: false,
    expert_weights: ExpertWeights::Divided,
};

const PARALLEL: Family = Family { has_rms_norms: false, residual: Residual::FeedForwardFirst, ..COMMON };

const UNROTATED: Family = Family { has_rms_norms: false, rotated: Rotated::Nowhere, ..COMMON };

/// The families that are replayed.
pub(super) const FAMILIES: &[Family] = &[
    Family { name: "arcee", ..COMMON },
    Family { name: "bailingmoe", shares_experts: true, expert_weights: ExpertWeights::Keys, ..COMMON },
    Family { name: "bailingmoe2", shares_experts: true, expert_weights: ExpertWeights::Keys, ..COMMON },
    Family { name: "bloom", norms_embeddings: true, ..UNROTATED },
    Family { name: "chatglm", ..COMMON },
    Family { name: "cohere2", rotated: Rotated::Sliding, ..PARALLEL },
    Family { name: "command-r", ..PARALLEL },
    Family { name: "deepseek", shares_experts: true, expert_weights: ExpertWeights::Plain, ..COMMON },
    Family {
        name: "deepseek2",
        scales_queries: true,
        shares_experts: true,
        expert_weights: ExpertWeights::Keys,
        ..COMMON
    },
    Family { name: "dots1", shares_experts: true, expert_weights: ExpertWeights::Keys, ..COMMON },
    Family { name: "ernie4_5", ..COMMON },
    Family { name: "ernie4_5-moe", shares_experts: true, ..COMMON },
    Family { name: "exaone", ..COMMON },
    Family {
        name: "exaone4",
        norms_before: false,
        norms_after: true,
        rotated: Rotated::SlidingIfAny,
        ..COMMON
    },
    Family { name: "falcon-h1", picks: Picks::AfterFirstSum, ..COMMON },
    Family { name: "gemma", ..COMMON },
    Family { name: "gemma2", norms_after: true, ..COMMON },
    Family { name: "gemma3", norms_after: true, scales_embeddings: true, ..COMMON },
    Family { name: "glm4", norms_after: true, ..COMMON },
    Family { name: "glm4moe", shares_experts: true, expert_weights: ExpertWeights::Keys, ..COMMON },
    Family { name: "gpt-oss", picks: Picks::AfterLayers, expert_weights: ExpertWeights::Chosen, ..COMMON },
    Family { name: "gpt2", embeds_positions: true, ..UNROTATED },
    Family { name: "granite", rotated: Rotated::UnlessSwitchedOff, ..COMMON },
    Family { name: "granitehybrid", rotated: Rotated::UnlessSwitchedOff, shares_experts: true, ..COMMON },
    Family { name: "granitemoe", rotated: Rotated::UnlessSwitchedOff, shares_experts: true, ..COMMON },
    Family { name: "hunyuan-dense", ..COMMON },
    Family { name: "hunyuan-moe", shares_experts: true, ..COMMON },
    Family { name: "internlm2", ..COMMON },
    Family {
        name: "jamba",
        rotated: Rotated::Nowhere,
        adds_attention_to_residual: true,
        adds_feed_forward_to_residual: true,
        expert_weights: ExpertWeights::Plain,
        ..COMMON
    },
    Family { name: "lfm2", adds_attention_to_residual: true, adds_feed_forward_to_residual: true, ..COMMON },
    Family {
        name: "lfm2moe",
        adds_attention_to_residual: true,
        adds_feed_forward_to_residual: true,
        ..COMMON
    },
    Family { name: "llama", ..COMMON },
    Family { name: "maincoder", ..COMMON },
    Family { name: "mamba", ..COMMON },
    Family { name: "mamba2", ..COMMON },
    Family { name: "minicpm", rotated: Rotated::UnlessSwitchedOff, ..COMMON },
    Family { name: "minimax-m2", norms_rows: true, ..COMMON },
    Family { name: "mistral3", scales_queries: true, ..COMMON },
    Family { name: "mpt", ..UNROTATED },
    Family { name: "nemotron", has_rms_norms: false, ..COMMON },
    Family { name: "nemotron_h", rotated: Rotated::Nowhere, picks: Picks::AfterNorm, ..COMMON },
    Family { name: "olmo", has_rms_norms: false, ..COMMON },
    Family { name: "olmo2", norms_before: false, norms_after: true, norms_rows: true, ..COMMON },
    Family { name: "olmoe", norms_rows: true, expert_weights: ExpertWeights::Plain, ..COMMON },
    Family { name: "openelm", adds_attention_to_residual: true, ..COMMON },
    Family { name: "orion", has_rms_norms: false, ..COMMON },
    Family { name: "paddleocr", positions: 4, ..COMMON },
    Family { name: "pangu-embedded", ..COMMON },
    Family { name: "phi2", has_rms_norms: false, residual: Residual::AttentionFirst, ..COMMON },
    Family { name: "phi3", adds_feed_forward_to_residual: true, ..COMMON },
    Family { name: "phimoe", adds_feed_forward_to_residual: true, ..COMMON },
    Family { name: "qwen", ..COMMON },
    Family { name: "qwen2", ..COMMON },
    Family { name: "qwen2moe", shares_experts: true, expert_weights: ExpertWeights::Plain, ..COMMON },
    Family { name: "qwen2vl", positions: 4, ..COMMON },
    Family { name: "qwen3", ..COMMON },
    Family { name: "qwen3moe", ..COMMON },
    Family { name: "qwen3vl", positions: 4, ..COMMON },
    Family { name: "qwen3vlmoe", positions: 4, ..COMMON },
    Family { name: "seed_oss", ..COMMON },
    Family { name: "smollm3", rotated: Rotated::AllButLastOf(4), ..COMMON },
    Family { name: "stablelm", has_rms_norms: false, residual: Residual::SumsOrShares, ..COMMON },
    Family { name: "starcoder", embeds_positions: true, ..UNROTATED },
    Family { name: "starcoder2", has_rms_norms: false, ..COMMON },
    Family { name: "xverse", ..COMMON },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::estimate::architectures;

    #[test]
    fn every_family_has_one_row_here_and_one_among_the_architectures() {
        let names: BTreeSet<&str> = FAMILIES.iter().map(|family| family.name).collect();
        assert_eq!(names.len(), FAMILIES.len());
        assert!(names.into_iter().all(|name| architectures::find(name).is_some()));
    }

    #[test]
    fn every_family_is_held_to_figures_of_llama_cpp() {
        let cases = include_str!("../../../tests/cases/compute-buffers.json");
        let is_measured = |name: &str| cases.contains(&format!("\"architecture\": \"{name}\""));
        let others = FAMILIES.iter().filter(|family| !is_measured(family.name));
        assert_eq!(others.count(), 0);
    }
}
