//! All tensors, one after the other.

use gguf_file::{GgufFile, Tensor};

use super::{
    attention::{Rows, check_attention},
    experts::Experts,
    found::{contradicts, dimension},
    state::State,
};
use crate::{
    error::{Error, Result},
    estimate::{architecture::LayerMemory, hyperparameters::Hyperparameters, keys::Keys, layers::Layers},
};

/// Families whose feed-forward networks are not as wide as `feed_forward_length` says.
const OWN_FEED_FORWARD: &[&str] = &["arctic", "gemma4", "modern-bert", "plamo3", "qwen"];

/// Families whose head is turned by all of its elements (`load_hparams`).
const TURNS_ALL: &[&str] = &["deci", "falcon", "llama", "llama-embed"];

/// Families that know tokens of another model, or whose output has other rows.
const OWN_VOCABULARY: &[&str] = &["dflash", "eagle3", "qwen3tts", "qwen3vl"];

/// Compares the hyperparameters with every tensor that is made of them.
pub(in crate::estimate) fn check(
    files: &[&GgufFile],
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    layers: &Layers,
) -> Result<()> {
    if !model.is_known {
        return Ok(());
    }
    check_rotation(keys, model)?;
    let experts = Experts::read(keys, model)?;
    let state = State::read(keys, model)?;
    let mut rows = vec![Rows::default(); model.layers];
    for tensor in files.iter().flat_map(|file| file.tensors()) {
        let Some((layer, part)) = in_block(tensor.name()) else {
            check_vocabulary(keys, model, &tensor)?;
            continue;
        };
        let Some(of_layer) = rows.get_mut(layer) else { continue };
        let rows = dimension(&tensor, 1);
        match part {
            "attn_q.weight" => of_layer.queries = rows,
            "attn_k.weight" => of_layer.keys = rows,
            "attn_v.weight" => of_layer.values = rows,
            "attn_qkv.weight" => of_layer.fused = rows,
            "ffn_down.weight" | "ffn_up.weight" => {
                experts.check_dense(keys, layer, tensor.name())?;
                check_feed_forward(keys, model, layer, &tensor)?;
            }
            _ if part.starts_with("ffn_") => experts.check(keys, model, layer, (part, &tensor))?,
            _ => state.check(keys, (part, &tensor))?,
        }
    }
    for (layer, (rows, kind)) in rows.iter().zip(&layers.kinds).enumerate() {
        let attends = kind.keeps_kv || model.architecture.memory == LayerMemory::Nothing;
        if attends && model.kv_heads_of(layer) > 0 && !model.is_latent {
            check_attention(keys, model, (layer, kind.slides), *rows)?;
        }
    }
    Ok(())
}

/// The block of `blk.<block>.<part>`, and the part.
fn in_block(name: &str) -> Option<(usize, &str)> {
    let (block, part) = name.strip_prefix("blk.")?.split_once('.')?;
    Some((block.parse().ok()?, part))
}

fn check_rotation(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<()> {
    const KEY: &str = "rope.dimension_count";
    match keys.optional(KEY)? {
        Some(turned) if turned != model.full.key && TURNS_ALL.contains(&model.name) => {
            let expected = format!("the {} elements of a head's key", model.full.key);
            Err(keys.invalid(KEY, expected, turned.to_string()))
        }
        _ => Ok(()),
    }
}

/// Every token has a row.
fn check_vocabulary(keys: &Keys<'_>, model: &Hyperparameters<'_>, tensor: &Tensor<'_>) -> Result<()> {
    let name = tensor.name();
    let rows = dimension(tensor, 1);
    let is_of_tokens = matches!(name, "token_embd.weight" | "output.weight");
    if !is_of_tokens || rows == model.vocabulary || OWN_VOCABULARY.contains(&model.name) {
        return Ok(());
    }
    let said = model.vocabulary.to_string();
    if model.has_tokens {
        let expected = format!("the {rows} rows of {name}");
        return Err(Error::invalid_model("tokenizer.ggml.tokens", expected, format!("{said} tokens")));
    }
    Err(contradicts(keys, "vocab_size", ("rows", name), rows, said))
}

fn check_feed_forward(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    layer: usize,
    tensor: &Tensor<'_>,
) -> Result<()> {
    if OWN_FEED_FORWARD.contains(&model.name) {
        return Ok(());
    }
    let width = model.feed_forward_of(layer);
    let name = tensor.name();
    // Some have the gate in the same matrix.
    let (what, found, is_right) = if name.ends_with("ffn_down.weight") {
        let columns = dimension(tensor, 0);
        ("columns", columns, columns == width)
    } else {
        let rows = dimension(tensor, 1);
        ("rows", rows, rows == width || Some(rows) == width.checked_mul(2))
    };
    if is_right {
        return Ok(());
    }
    Err(contradicts(keys, "feed_forward_length", (what, name), found, width.to_string()))
}
