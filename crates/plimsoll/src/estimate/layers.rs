//! What each layer keeps, and which of them see a window only.

use super::{
    architecture::{Architecture, AttentionWindow, Caches, LayerMemory, Pattern, Sharing, Split, Width},
    hyperparameters::Hyperparameters,
    keys::Keys,
};
use crate::error::Result;

const WINDOW_KEY: &str = "attention.sliding_window";
const PATTERN_KEY: &str = "attention.sliding_window_pattern";

/// The blocks of a model, and the width of the window that some of them see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layers {
    /// One for each block, those that predict further tokens included, which keep nothing.
    pub(super) kinds: Vec<LayerKind>,
    /// Tokens that the window holds; `None` where no layer slides.
    pub(super) window: Option<u64>,
    /// Whether each block that predicts further tokens sees a window only, where it is computed; false for the others.
    pub(super) slides_ahead: Vec<bool>,
}

/// What one layer keeps of the tokens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct LayerKind {
    /// It sees a window only.
    pub(super) slides: bool,
    /// It has keys and values of its own.
    pub(super) keeps_kv: bool,
    /// It has a recurrent state.
    pub(super) keeps_state: bool,
}

impl Layers {
    pub(super) fn read(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Self> {
        let mut kinds = kinds(keys, model)?;
        let own = own_layers(keys, model)?;
        for kind in kinds.iter_mut().skip(own) {
            kind.keeps_kv = false;
        }
        let window = window(keys, model)?;
        let mut slides_ahead = Vec::new();
        if let (Some(_), AttentionWindow::Sliding(_, pattern)) = (window, model.architecture.window) {
            let slides = sliding(keys, model, pattern, &kinds)?;
            for (layer, (kind, slides)) in kinds.iter_mut().zip(&slides).enumerate() {
                kind.slides = *slides && (layer < model.layers || pattern == Pattern::AllThatAttend);
            }
            // A number instead of a list is one of layers that tokens pass (`set_swa_pattern`).
            let is_said = keys.is_list(PATTERN_KEY) && model.architecture.caches == Caches::One;
            slides_ahead = slides.iter().map(|slides| *slides && is_said).collect();
        }
        Ok(Self { kinds, window, slides_ahead })
    }
}

fn kinds(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Vec<LayerKind>> {
    let recurrent: Vec<bool> = match model.architecture.memory {
        LayerMemory::Hybrid(Split::LastOfEvery(every), _) => last_of_every(keys, model, every)?,
        LayerMemory::Hybrid(Split::Both, _) | LayerMemory::Recurrent(_) => vec![true; model.blocks],
        LayerMemory::Hybrid(Split::NoHeads, _) => {
            (0..model.blocks).map(|layer| model.kv_heads_of(layer) == 0).collect()
        }
        LayerMemory::Hybrid(Split::NoHeadsNorFeedForward, _) => (0..model.blocks)
            .map(|layer| model.kv_heads_of(layer) == 0 && model.feed_forward_of(layer) == 0)
            .collect(),
        LayerMemory::Nothing | LayerMemory::Attention => vec![false; model.blocks],
    };
    let kind = |(layer, recurrent): (usize, bool)| {
        let attends = match model.architecture.memory {
            LayerMemory::Nothing | LayerMemory::Recurrent(_) => false,
            LayerMemory::Attention | LayerMemory::Hybrid(Split::Both, _) => true,
            LayerMemory::Hybrid(Split::NoHeads | Split::LastOfEvery(_), _) => !recurrent,
            LayerMemory::Hybrid(Split::NoHeadsNorFeedForward, _) => {
                !recurrent && model.feed_forward_of(layer) == 0
            }
        };
        let is_passed = layer < model.layers;
        let keeps_kv = attends && (is_passed || keeps_ahead(model.architecture));
        LayerKind { slides: false, keeps_kv, keeps_state: recurrent && is_passed }
    };
    Ok(recurrent.into_iter().enumerate().map(kind).collect())
}

/// Whether blocks that predict further tokens keep keys and values, though no token passes them: `llama_memory_hybrid` takes all
/// that keep no state where `create_memory` names none, and `llama_kv_cache_dsv4` takes all.
const fn keeps_ahead(architecture: &Architecture) -> bool {
    match (architecture.memory, architecture.caches) {
        (_, Caches::Compressed) => true,
        (LayerMemory::Hybrid(split, _), Caches::One) => !matches!(split, Split::LastOfEvery(_)),
        _ => false,
    }
}

fn last_of_every(keys: &Keys<'_>, model: &Hyperparameters<'_>, default: u64) -> Result<Vec<bool>> {
    const INTERVAL_KEY: &str = "full_attention_interval";
    if let Some(listed) = keys.per_block("attention.recurrent_layers", model.blocks)? {
        return Ok(listed.into_iter().map(|layer| layer != 0).collect());
    }
    let every = match keys.optional(INTERVAL_KEY)? {
        Some(0) => return Err(keys.invalid(INTERVAL_KEY, "at least 1", "0")),
        every => every.unwrap_or(default),
    };
    Ok((1..=model.blocks as u64).map(|number| number % every != 0).collect())
}

/// How many layers, from the first on, have keys and values of their own.
fn own_layers(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<usize> {
    const KEY: &str = "attention.shared_kv_layers";
    match model.architecture.sharing {
        Sharing::None => Ok(model.blocks),
        Sharing::OwnInFirst(layers) => Ok(layers as usize),
        Sharing::Target => Ok(0),
        Sharing::Key => {
            let shared = keys.optional(KEY)?.unwrap_or(0);
            (model.blocks as u64)
                .checked_sub(shared)
                .filter(|own| *own > 0)
                .map(|own| own as usize)
                .ok_or_else(|| {
                    keys.invalid(KEY, format!("below block_count = {}", model.blocks), shared.to_string())
                })
        }
    }
}

/// Tokens that the window holds; `None` where the file or the architecture has none.
fn window(keys: &Keys<'_>, model: &Hyperparameters<'_>) -> Result<Option<u64>> {
    let AttentionWindow::Sliding(width, _) = model.architecture.window else { return Ok(None) };
    let said = keys.optional(WINDOW_KEY)?;
    Ok(match width {
        Width::Key => Some(keys.positive(WINDOW_KEY)?),
        Width::KeyIfAny => said.filter(|width| *width > 0),
        Width::KeyOr(default) => match said {
            None => Some(default),
            Some(_) => Some(keys.positive(WINDOW_KEY)?),
        },
        Width::FixedUnlessZero(width) => (said != Some(0)).then_some(width),
        Width::FixedIfAny(width) => said.filter(|said| *said > 0).map(|_| width),
        Width::KeyOrInModelOf(layers, default) => {
            (model.layers as u64 == layers).then(|| said.unwrap_or(default)).filter(|width| *width > 0)
        }
    })
}

/// Whether each layer slides.
fn sliding(
    keys: &Keys<'_>,
    model: &Hyperparameters<'_>,
    pattern: Pattern,
    kinds: &[LayerKind],
) -> Result<Vec<bool>> {
    let listed = || keys.per_block(PATTERN_KEY, model.blocks);
    let every = |default| Result::<u64>::Ok(keys.optional(PATTERN_KEY)?.unwrap_or(default));
    let slides: Vec<bool> = match pattern {
        Pattern::AllThatAttend => return Ok(kinds.iter().map(|kind| kind.keeps_kv).collect()),
        Pattern::ListedOrAllWith(key) if keys.optional(key)?.unwrap_or(0) > 0 => vec![true; model.blocks],
        _ if keys.is_list(PATTERN_KEY) => {
            listed()?.unwrap_or_default().into_iter().map(|it| it != 0).collect()
        }
        Pattern::Listed | Pattern::ListedOrAllWith(_) => {
            let received = if keys.has(PATTERN_KEY) { "one number" } else { "nothing" };
            return Err(keys.invalid(PATTERN_KEY, "a list of the layers", received));
        }
        // A period of 0 means that every layer slides.
        Pattern::LastSeesAll(default) => {
            let every = every(default)?;
            (0..model.blocks as u64).map(|layer| every == 0 || layer % every + 1 < every).collect()
        }
        Pattern::FirstSeesAll(default) => {
            let every = every(default)?;
            (0..model.blocks as u64).map(|layer| every == 0 || layer % every != 0).collect()
        }
    };
    Ok(slides)
}
