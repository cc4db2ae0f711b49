//! The matrices that make queries, keys and values.

use super::found::contradicts;
use crate::{
    error::Result,
    estimate::{hyperparameters::Hyperparameters, keys::Keys},
};

/// What the matrices of attention give for a token (`create_tensor_qkv`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Projections {
    /// Queries of all heads, keys and values of the key-value heads.
    Heads,
    /// The same, keys being as wide as values.
    EvenHeads,
    /// The same, and queries as wide as a token.
    Tokens,
    /// As [`Heads`](Self::Heads), and a gate beside each query.
    Gated,
}

/// The families that are looked at. The others have matrices of their own kind.
const PROJECTIONS: &[(Projections, &[&str])] = &[
    (
        Projections::Heads,
        &[
            "afmoe",
            "arcee",
            "chatglm",
            "deci",
            "exaone",
            "exaone4",
            "falcon-h1",
            "gemma",
            "gemma-embedding",
            "gemma2",
            "gemma3",
            "gemma3n",
            "gemma4",
            "glm4",
            "glm4moe",
            "granite",
            "granite_swa",
            "granitehybrid",
            "granitemoe",
            "hrm_text",
            "hunyuan-dense",
            "hunyuan-moe",
            "hunyuan_vl",
            "hy_v3",
            "jais2",
            "llada",
            "llama",
            "llama-embed",
            "llama4",
            "mimo2",
            "minicpm",
            "mistral3",
            "muse-glimmer",
            "nanbeige",
            "nemotron_h",
            "nemotron_h_moe",
            "pangu-embedded",
            "refact",
            "smollm3",
            "step35",
        ],
    ),
    (
        Projections::EvenHeads,
        &[
            "apertus",
            "cohere2moe",
            "ernie4_5",
            "ernie4_5-moe",
            "grovemoe",
            "maincoder",
            "mellum",
            "minimax-m2",
            "minimax-m3",
            "paddleocr",
            "qwen3",
            "qwen3moe",
            "qwen3tts",
            "qwen3vl",
            "qwen3vlmoe",
            "rnd1",
            "smallthinker",
            "talkie",
        ],
    ),
    (
        Projections::Tokens,
        &[
            "arctic",
            "baichuan",
            "bailingmoe2",
            "bert",
            "bitnet",
            "bloom",
            "chameleon",
            "codeshell",
            "cohere2",
            "command-r",
            "dbrx",
            "deepseek",
            "dream",
            "eurobert",
            "falcon",
            "gpt2",
            "gptneox",
            "grok",
            "internlm2",
            "jais",
            "jamba",
            "jina-bert-v2",
            "jina-bert-v3",
            "lfm2",
            "lfm2moe",
            "llada-moe",
            "mpt",
            "nemotron",
            "neo-bert",
            "nomic-bert",
            "nomic-bert-moe",
            "olmo",
            "olmo2",
            "olmoe",
            "orion",
            "phi2",
            "phi3",
            "phimoe",
            "plamo",
            "qwen2",
            "qwen2moe",
            "qwen2vl",
            "stablelm",
            "starcoder",
            "starcoder2",
            "xverse",
        ],
    ),
    (Projections::Gated, &["qwen35", "qwen35moe", "qwen3next", "qwen4exp"]),
];

/// Rows of the matrices of one layer's attention; 0 for one that is not there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rows {
    pub(super) queries: u64,
    pub(super) keys: u64,
    pub(super) values: u64,
    pub(super) fused: u64,
}

/// The queries are looked at with the keys, for only both tell which key is wrong.
pub(super) fn check_attention(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    (layer, slides): (usize, bool),
    rows: Rows,
) -> Result<()> {
    let Some((projections, _)) = PROJECTIONS.iter().find(|(_, names)| names.contains(&model.name)) else {
        return Ok(());
    };
    let projections = *projections;
    let (heads, kv_heads) = (model.heads_of(layer), model.kv_heads_of(layer));
    let widths = model.head_widths(slides);
    let key_width = if projections == Projections::Heads || projections == Projections::Gated {
        widths.key
    } else {
        widths.value
    };
    let queries = match projections {
        Projections::Heads | Projections::EvenHeads => heads.saturating_mul(widths.key),
        Projections::Tokens => model.embedding,
        Projections::Gated => heads.saturating_mul(widths.key).saturating_mul(2),
    };
    let (of_keys, of_values) = (kv_heads.saturating_mul(key_width), kv_heads.saturating_mul(widths.value));
    let (key_key, value_key) = if slides && keys.has("attention.key_length_swa") {
        ("attention.key_length_swa", "attention.value_length_swa")
    } else {
        ("attention.key_length", "attention.value_length")
    };
    let name = |part: &str| format!("blk.{layer}.{part}.weight");
    if rows.fused > 0 {
        let all = queries.saturating_add(of_keys).saturating_add(of_values);
        return if rows.fused == all {
            Ok(())
        } else {
            let said = format!("{heads} heads of {}, {kv_heads} of keys and values", widths.key);
            let width_key = if projections == Projections::Heads { key_key } else { value_key };
            let key = if keys.has(width_key) { width_key } else { "attention.head_count_kv" };
            Err(contradicts(keys, key, ("rows", &name("attn_qkv")), rows.fused, said))
        };
    }
    let is_wrong = |rows: u64, of: u64| rows > 0 && rows != of;
    let said = |heads: u64, width: u64| format!("{heads} heads of {width}");
    if is_wrong(rows.queries, queries) && projections == Projections::Tokens {
        let said = model.embedding.to_string();
        return Err(contradicts(keys, "embedding_length", ("rows", &name("attn_q")), rows.queries, said));
    }
    if is_wrong(rows.queries, queries) {
        // Both are wrong in the same proportion where the width is.
        let has_width =
            u128::from(rows.queries) * u128::from(of_keys) == u128::from(rows.keys) * u128::from(queries);
        let key = if has_width && keys.has(key_key) { key_key } else { "attention.head_count" };
        let said = said(heads, widths.key);
        return Err(contradicts(keys, key, ("rows", &name("attn_q")), rows.queries, said));
    }
    if is_wrong(rows.keys, of_keys) {
        let said = said(kv_heads, key_width);
        return Err(contradicts(keys, "attention.head_count_kv", ("rows", &name("attn_k")), rows.keys, said));
    }
    if is_wrong(rows.values, of_values) {
        let said = said(kv_heads, widths.value);
        return Err(contradicts(keys, value_key, ("rows", &name("attn_v")), rows.values, said));
    }
    Ok(())
}
