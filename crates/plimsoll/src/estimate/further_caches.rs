//! What some families keep besides one cache of keys and values a layer.

use super::{
    architecture::{Caches, IndexRow, Indexed},
    cache::{KeptBytes, cache_bytes, state_error, state_of, widest_value},
    hyperparameters::Hyperparameters,
    keys::Keys,
    layers::{LayerKind, Layers},
    options::Run,
};
use crate::error::Result;

const RATIOS_KEY: &str = "attention.compress_ratios";
const INDEX_KEY: &str = "attention.indexer.key_length";

/// Tokens of one key of a compressed cache: of those with an index, and of the others (`DSV4_CSA_RATIO`, `DSV4_HCA_RATIO`).
const FINE_RATIO: u64 = 4;
const COARSE_RATIO: u64 = 128;

/// A compressed cache is padded to so many cells.
const CELL_STEP: u64 = 256;

/// The most times that a token may pass all layers: all of them together are at most `LLAMA_MAX_LAYERS`.
const MOST_LOOPS: u64 = 512;

/// Adds to each block of `kept` what its family keeps besides.
pub(super) fn add(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    layers: &Layers,
    run: &Run,
    kept: &mut [KeptBytes],
) -> Result<()> {
    match model.architecture.caches {
        Caches::One | Caches::OnePerPass => Ok(()),
        Caches::EachLoop => each_loop(keys, model, kept),
        Caches::Router => router(model, layers, run, kept),
        Caches::Index(indexed, row) => {
            let has_index = has_index(keys, model, layers, indexed)?;
            index(keys, model, run, kept, (&has_index, row))
        }
        Caches::PooledIndex => pooled_index(keys, model, layers, run, kept),
        Caches::Compressed => compressed(keys, model, run, kept),
    }
}

/// `llama_model_nanbeige::load_arch_hparams`: the layers count as many times as a token passes them.
fn each_loop(keys: &Keys<'_>, model: &Hyperparameters<'_>, kept: &mut [KeptBytes]) -> Result<()> {
    const KEY: &str = "num_loops";
    let loops = keys.optional(KEY)?.unwrap_or(1);
    if !(1..=MOST_LOOPS / model.blocks as u64).contains(&loops) {
        let expected = format!("at least 1, and with block_count = {} at most {MOST_LOOPS}", model.blocks);
        return Err(keys.invalid(KEY, expected, loops.to_string()));
    }
    for kept in kept {
        kept.key_bytes = kept.key_bytes.saturating_mul(loops);
        kept.value_bytes = kept.value_bytes.saturating_mul(loops);
    }
    Ok(())
}

/// `llama_model_granite_switch::load_arch_hparams`: a layer of one head after the last. It counts as the last one's.
fn router(model: &Hyperparameters<'_>, layers: &Layers, run: &Run, kept: &mut [KeptBytes]) -> Result<()> {
    let value =
        if run.options.flash_attention { u128::from(model.full.value) } else { widest_value(model, layers) };
    let further = in_every_cell(run, u128::from(model.full.key), value)?;
    if let Some(last) = kept.last_mut() {
        further.add_to(last);
    }
    Ok(())
}

/// A cache of one head in all cells of the context.
#[derive(Clone, Copy)]
struct FurtherBytes {
    key_bytes: u64,
    value_bytes: u64,
}

impl FurtherBytes {
    fn add_to(self, kept: &mut KeptBytes) {
        kept.key_bytes = kept.key_bytes.saturating_add(self.key_bytes);
        kept.value_bytes = kept.value_bytes.saturating_add(self.value_bytes);
    }
}

/// One of these, of so many elements a cell.
fn in_every_cell(run: &Run, key: u128, value: u128) -> Result<FurtherBytes> {
    let rows = u128::from(run.streams) * u128::from(run.cells);
    Ok(FurtherBytes {
        key_bytes: cache_bytes(rows * key, run.options.kv_type_k.tensor_type())?,
        value_bytes: cache_bytes(rows * value, run.options.kv_type_v.tensor_type())?,
    })
}

/// The second cache of `llama_kv_cache_dsa`, `llama_kv_cache_msa` and `llama_memory_hybrid_idx`: one head, in all cells of the context.
/// It counts as the layer's.
fn index(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    run: &Run,
    kept: &mut [KeptBytes],
    (has_index, row): (&[bool], IndexRow),
) -> Result<()> {
    if !has_index.contains(&true) {
        return Ok(());
    }
    let further = index_rows(keys, model, run, row)?;
    for (kept, _) in kept.iter_mut().zip(has_index).filter(|(_, has_index)| **has_index) {
        further.add_to(kept);
    }
    Ok(())
}

fn index_rows(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    run: &Run,
    row: IndexRow,
) -> Result<FurtherBytes> {
    let width = u128::from(index_width(keys, run)?);
    let (key, value) = match row {
        IndexRow::Key => (width, 0),
        IndexRow::KeyAndValue => (width, u128::from(model.full.value)),
        IndexRow::KeyAndPooled => (2 * width, 0),
        IndexRow::KeyGateAndPooled => (3 * width, 0),
    };
    in_every_cell(run, key, value)
}

/// The index of one layer; nothing where the file has no width of one.
pub(super) fn in_index(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    run: &Run,
    row: IndexRow,
) -> Result<u64> {
    if keys.optional(INDEX_KEY)?.unwrap_or(0) == 0 {
        return Ok(0);
    }
    let further = index_rows(keys, model, run, row)?;
    Ok(further.key_bytes.saturating_add(further.value_bytes))
}

/// The index of `llama_model_qwen4exp::load_arch_hparams`, and the inputs of `llama_hparams::ple_conv_state`, always `F32`.
fn pooled_index(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    layers: &Layers,
    run: &Run,
    kept: &mut [KeptBytes],
) -> Result<()> {
    const INPUTS_KEY: &str = "ple.conv_kernel";
    let row = if is_pooled(keys)? { IndexRow::KeyAndPooled } else { IndexRow::Key };
    index(keys, model, run, kept, (&has_index(keys, model, layers, Indexed::All)?, row))?;
    for layer in keys.list("ple.layers")?.unwrap_or_default() {
        let inputs =
            u128::from(keys.positive(INPUTS_KEY)? - 1) * u128::from(keys.required("ple.ngram_size")?);
        let width = u128::from(keys.required("hyper_connection.count")?) * u128::from(model.embedding);
        let bytes = state_of(inputs * width, run).map_err(|bytes| state_error(keys, INPUTS_KEY, bytes))?;
        if let Some(kept) = usize::try_from(layer).ok().and_then(|layer| kept.get_mut(layer)) {
            kept.state_bytes = kept.state_bytes.saturating_add(bytes);
        }
    }
    Ok(())
}

/// Whether keys of an index are pooled, where `attention.compress_ratios` says of how many tokens.
pub(super) fn is_pooled(keys: &Keys<'_>) -> Result<bool> {
    let ratios = keys.list(RATIOS_KEY)?.unwrap_or_default();
    Ok(ratios.iter().any(|ratio| *ratio > 0))
}

/// Whether each layer has an index.
fn has_index(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    layers: &Layers,
    indexed: Indexed,
) -> Result<Vec<bool>> {
    const TYPES_KEY: &str = "attention.indexer.types";
    let listed = || {
        let types = keys.per_layer(TYPES_KEY, model.layers)?;
        Result::<Option<Vec<bool>>>::Ok(types.map(|types| types.iter().map(|kind| *kind != 0).collect()))
    };
    let chosen = match indexed {
        Indexed::All => vec![true; model.layers],
        Indexed::NotDense => {
            let dense = keys.optional("leading_dense_block_count")?.unwrap_or(0);
            (0..model.layers as u64).map(|layer| layer >= dense).collect()
        }
        Indexed::Listed if keys.optional("attention.indexer.top_k")?.unwrap_or(0) == 0 => Vec::new(),
        Indexed::Listed => {
            listed()?.ok_or_else(|| keys.invalid(TYPES_KEY, "a list of the layers", "nothing"))?
        }
        Indexed::ListedOrAll => listed()?.unwrap_or_else(|| vec![true; model.layers]),
        Indexed::ListedOrByContext(context) => match listed()? {
            Some(listed) => listed,
            None if model.context_length < context => vec![true; model.layers],
            None => (0..model.layers).map(|layer| layer < 2 || layer % 4 == 2).collect(),
        },
    };
    let attends = |(has, kind): (bool, &LayerKind)| has && kind.keeps_kv;
    Ok(chosen.into_iter().zip(&layers.kinds).map(attends).collect())
}

/// Elements of one key of an index, whole blocks of the type of keys.
fn index_width(keys: &Keys<'_>, run: &Run) -> Result<u64> {
    let width = keys.positive(INDEX_KEY)?;
    let block = run.options.kv_type_k.block_elements();
    if width % block != 0 {
        let expected = format!("a multiple of {block} for keys in {}", run.options.kv_type_k.name());
        return Err(keys.invalid(INDEX_KEY, expected, width.to_string()));
    }
    Ok(width)
}

/// `llama_kv_cache_dsv4`: the window's keys are there already. A compressed cache has one cell for so many tokens, at least one step;
/// the state that its next key is made of (`llama_dsv4_comp_state`) is a key and a score for each token of it, twice for each of the
/// two halves of those with an index, always `F32`.
fn compressed(keys: &Keys<'_>, model: &Hyperparameters<'_>, run: &Run, kept: &mut [KeptBytes]) -> Result<()> {
    let ratios = keys
        .per_layer(RATIOS_KEY, model.blocks)?
        .ok_or_else(|| keys.invalid(RATIOS_KEY, "a list of the blocks", "nothing"))?;
    let key = u128::from(model.sliding.key);
    let index = u128::from(index_width(keys, run)?);
    for (layer, (kept, ratio)) in kept.iter_mut().zip(ratios).enumerate() {
        let keys_wide = u128::from(model.kv_heads_of(layer)) * key;
        let (elements, state) = match ratio {
            FINE_RATIO => (keys_wide + index, 2 * 2 * u128::from(2 * FINE_RATIO) * (key + index)),
            COARSE_RATIO => (keys_wide, 2 * u128::from(COARSE_RATIO) * key),
            _ => continue,
        };
        let cells = run.cells.div_ceil(ratio).next_multiple_of(CELL_STEP);
        let rows = u128::from(run.streams) * u128::from(cells);
        let key_bytes = cache_bytes(rows * elements, run.options.kv_type_k.tensor_type())?;
        kept.key_bytes = kept.key_bytes.saturating_add(key_bytes);
        if layer < model.layers {
            kept.state_bytes =
                state_of(state, run).map_err(|bytes| state_error(keys, "attention.key_length", bytes))?;
        }
    }
    Ok(())
}
