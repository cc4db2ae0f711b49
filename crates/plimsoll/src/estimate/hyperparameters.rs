//! What a file says of its model, checked.

use gguf_file::GgufFile;

use super::{
    architecture::{Architecture, LayerMemory, Sharing},
    architectures,
    keys::{Keys, MOST},
};
use crate::error::{Error, Result};

/// The most blocks that a model may have: llama.cpp's own limit (`LLAMA_MAX_LAYERS`).
const MOST_BLOCKS: u64 = 512;

/// The family of projectors for images and sound, which llama.cpp loads as no model.
pub(super) const PROJECTOR: &str = "clip";

/// What the file of an adapter says that it is.
pub(super) const ADAPTER: &str = "adapter";

/// The tokens of the tokenizer.
const TOKENS_KEY: &str = "tokenizer.ggml.tokens";

/// The hyperparameters that memory depends on. Lists have one element a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hyperparameters<'a> {
    /// `general.architecture`.
    pub(super) name: &'a str,
    pub(super) architecture: &'static Architecture,
    /// Whether the table has the architecture; [`architectures::GENERIC`] otherwise.
    pub(super) is_known: bool,
    /// All blocks, those that predict further tokens included.
    pub(super) blocks: usize,
    /// The blocks that a token passes, which come first.
    pub(super) layers: usize,
    /// The context the model was trained with, in tokens.
    pub(super) context_length: u64,
    /// The width of a token between layers.
    pub(super) embedding: u64,
    pub(super) vocabulary: u64,
    /// The tokenizer's tokens are in the file.
    pub(super) has_tokens: bool,
    pub(super) heads: Vec<u64>,
    pub(super) kv_heads: Vec<u64>,
    pub(super) feed_forward: Vec<u64>,
    /// Width of a head.
    pub(super) full: HeadWidths,
    /// The same where a layer slides.
    pub(super) sliding: HeadWidths,
    /// Latent attention: the keys that say so are there, and the architecture heeds them.
    pub(super) is_latent: bool,
}

/// Elements of one head's key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct HeadWidths {
    pub(super) key: u64,
    pub(super) value: u64,
}

impl<'a> Hyperparameters<'a> {
    /// Reads what the first file of a model says.
    pub(super) fn read(file: &'a GgufFile) -> Result<Self> {
        let name = file.architecture().filter(|name| !name.is_empty()).ok_or_else(|| {
            Error::invalid_model("general.architecture", "the name of a model family", "nothing")
        })?;
        if name == PROJECTOR {
            let expected = "a language model; pass a projector beside one, as mmproj";
            return Err(Error::invalid_model("general.architecture", expected, name));
        }
        if file.metadata().get("general.type").and_then(|value| value.as_str()) == Some(ADAPTER) {
            let expected = "a model, not a part of one; pass an adapter beside one, as loras";
            return Err(Error::invalid_model("general.type", expected, ADAPTER));
        }
        let found = architectures::find(name);
        let architecture = found.unwrap_or(&architectures::GENERIC);
        let keys = Keys::new(file.metadata(), name);
        let (blocks, layers) = blocks(&keys, architecture)?;
        let embedding = embedding(file, &keys)?;
        check_experts(&keys)?;
        check_pictures(&keys, layers)?;
        let heads = heads(&keys, architecture, blocks)?;
        let kv_heads = kv_heads(&keys, architecture, &heads)?;
        let (full, sliding) = head_widths(&keys, embedding, heads.first().copied().unwrap_or(0))?;
        Ok(Self {
            name,
            architecture,
            is_known: found.is_some(),
            blocks,
            layers,
            context_length: keys.positive("context_length")?,
            embedding,
            vocabulary: vocabulary(file, &keys)?,
            has_tokens: file.metadata().get(TOKENS_KEY).is_some_and(|tokens| tokens.as_array().is_some()),
            feed_forward: keys.per_block("feed_forward_length", blocks)?.unwrap_or_else(|| vec![0; blocks]),
            heads,
            kv_heads,
            full,
            sliding,
            is_latent: architecture.latent
                && keys.optional("attention.key_length_mla")?.unwrap_or(0) > 0
                && keys.optional("attention.value_length_mla")?.unwrap_or(0) > 0,
        })
    }

    /// Width of a head in a layer that slides, or does not.
    pub(super) const fn head_widths(&self, slides: bool) -> HeadWidths {
        if slides { self.sliding } else { self.full }
    }

    pub(super) fn heads_of(&self, layer: usize) -> u64 {
        self.heads.get(layer).copied().unwrap_or(0)
    }

    pub(super) fn kv_heads_of(&self, layer: usize) -> u64 {
        self.kv_heads.get(layer).copied().unwrap_or(0)
    }

    pub(super) fn feed_forward_of(&self, layer: usize) -> u64 {
        self.feed_forward.get(layer).copied().unwrap_or(0)
    }
}

/// All blocks, and how many of them a token passes: all of those that do nothing but draft.
fn blocks(keys: &Keys<'_>, architecture: &Architecture) -> Result<(usize, usize)> {
    let blocks = keys.positive("block_count")?;
    if blocks > MOST_BLOCKS {
        return Err(keys.invalid("block_count", format!("at most {MOST_BLOCKS}"), blocks.to_string()));
    }
    if architecture.sharing == Sharing::Target {
        return Ok((blocks as usize, blocks as usize));
    }
    let ahead = keys.optional("nextn_predict_layers")?.unwrap_or(0);
    let layers = blocks.checked_sub(ahead).filter(|layers| *layers > 0).ok_or_else(|| {
        keys.invalid("nextn_predict_layers", format!("below block_count = {blocks}"), ahead.to_string())
    })?;
    Ok((blocks as usize, layers as usize))
}

/// The width of a token, which is that of the matrix that it is looked up in.
fn embedding(file: &GgufFile, keys: &Keys<'_>) -> Result<u64> {
    const KEY: &str = "embedding_length";
    let embedding = keys.positive(KEY)?;
    let width = file.tensor("token_embd.weight").and_then(|tensor| tensor.dims().first().copied());
    match width.filter(|width| *width != embedding) {
        Some(width) => {
            let expected = format!("the {width} elements of a row of token_embd.weight");
            Err(keys.invalid(KEY, expected, embedding.to_string()))
        }
        None => Ok(embedding),
    }
}

/// More of a picture is added after a layer each.
fn check_pictures(keys: &Keys<'_>, layers: usize) -> Result<()> {
    const KEY: &str = "n_deepstack_layers";
    match keys.optional(KEY)? {
        Some(deep) if deep > layers as u64 => {
            Err(keys.invalid(KEY, format!("at most the {layers} layers that there are"), deep.to_string()))
        }
        _ => Ok(()),
    }
}

/// A token passes some of the experts, and not more than there are; where they come in groups these are as large as each other.
fn check_experts(keys: &Keys<'_>) -> Result<()> {
    const USED: &str = "expert_used_count";
    const GROUPS: &str = "expert_group_count";
    const GROUPS_USED: &str = "expert_group_used_count";
    let Some(all) = keys.optional("expert_count")? else { return Ok(()) };
    let used = keys.most(USED)?.unwrap_or(0);
    if used > all {
        return Err(keys.invalid(USED, format!("at most expert_count = {all}"), used.to_string()));
    }
    // One expert is none, in files that were made of a network without.
    if all > 1 && used == 0 {
        return Err(keys.invalid(USED, format!("from 1 to expert_count = {all}"), "0"));
    }
    let groups = keys.optional(GROUPS)?.unwrap_or(0);
    if groups > 1 && (groups >= all || all % groups != 0) {
        let expected = format!("a divisor of expert_count = {all}, and less");
        return Err(keys.invalid(GROUPS, expected, groups.to_string()));
    }
    let groups_used = keys.optional(GROUPS_USED)?.unwrap_or(0);
    if groups > 1 && !(1..groups).contains(&groups_used) {
        let expected = format!("at least 1, and below expert_group_count = {groups}");
        return Err(keys.invalid(GROUPS_USED, expected, groups_used.to_string()));
    }
    Ok(())
}

fn heads(keys: &Keys<'_>, architecture: &Architecture, blocks: usize) -> Result<Vec<u64>> {
    const KEY: &str = "attention.head_count";
    let heads = keys.per_block(KEY, blocks)?;
    match (heads, architecture.memory) {
        (heads, LayerMemory::Recurrent(_)) => Ok(heads.unwrap_or_else(|| vec![0; blocks])),
        (None, _) => Err(keys.invalid(KEY, "there", "nothing")),
        (Some(heads), _) if heads.first() == Some(&0) => Err(keys.invalid(KEY, "at least 1", "0")),
        (Some(heads), _) => Ok(heads),
    }
}

/// As many as there are heads where the file does not say.
fn kv_heads(keys: &Keys<'_>, architecture: &Architecture, heads: &[u64]) -> Result<Vec<u64>> {
    const KEY: &str = "attention.head_count_kv";
    let Some(kv_heads) = keys.per_block(KEY, heads.len())? else { return Ok(heads.to_vec()) };
    if matches!(architecture.memory, LayerMemory::Recurrent(_)) {
        return Ok(kv_heads);
    }
    for (block, (kv, all)) in kv_heads.iter().zip(heads).enumerate() {
        if kv > all || *kv > 0 && all % kv != 0 {
            let expected = format!("a divisor of attention.head_count = {all}, in block {block}");
            return Err(keys.invalid(KEY, expected, kv.to_string()));
        }
    }
    if kv_heads.iter().all(|kv| *kv == 0) {
        return Err(keys.invalid(KEY, "at least 1 in some block", "0 in all"));
    }
    Ok(kv_heads)
}

/// The widths that the file gives, or the embedding's share.
fn head_widths(keys: &Keys<'_>, embedding: u64, heads: u64) -> Result<(HeadWidths, HeadWidths)> {
    let Some(share) = embedding.checked_div(heads) else { return Ok(Default::default()) };
    let width = |key: &str, default: u64| match keys.optional(key)? {
        None if default == 0 => Err(keys.invalid(key, "at least 1", "no figure")),
        None => Ok(default),
        Some(0) => Err(keys.invalid(key, "at least 1", "0")),
        Some(width) => Ok(width),
    };
    let full = HeadWidths {
        key: width("attention.key_length", share)?,
        value: width("attention.value_length", share)?,
    };
    let sliding = HeadWidths {
        key: width("attention.key_length_swa", full.key)?,
        value: width("attention.value_length_swa", full.value)?,
    };
    Ok((full, sliding))
}

/// Tokens that the model knows: the tokenizer's, or what the file says without one, or rows of the embeddings.
fn vocabulary(file: &GgufFile, keys: &Keys<'_>) -> Result<u64> {
    let tokens = file.metadata().get(TOKENS_KEY).and_then(|value| value.as_array());
    let rows = || file.tensor("token_embd.weight").and_then(|tensor| tensor.dims().get(1).copied());
    let vocabulary = match tokens {
        Some(tokens) => Some(tokens.len() as u64),
        None => keys.optional("vocab_size")?.or_else(rows),
    };
    vocabulary
        .filter(|vocabulary| (1..=MOST).contains(vocabulary))
        .ok_or_else(|| keys.invalid("vocab_size", format!("from 1 to {MOST}"), text_of(vocabulary)))
}

fn text_of(number: Option<u64>) -> String {
    number.map_or_else(|| "nothing".to_owned(), |number| number.to_string())
}
