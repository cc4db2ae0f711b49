//! The compute buffer: what all tensors of a micro-batch take at the same time.

use gguf_file::GgufFile;

use super::{
    architecture::{Caches, IndexRow, LayerMemory, Split, StateKind},
    architectures,
    cache::{KeptBytes, counted},
    further_caches::is_pooled,
    hyperparameters::Hyperparameters,
    keys::Keys,
    kv_type::KvType,
    layers::Layers,
    llama_version::{LlamaCppVersion, may_mix},
    options::Run,
    replay::{Batch, BlockShapes, Decoder, Replay},
    weights::block_of,
};
use crate::{
    error::{Error, Result},
    units::MAX_BYTES,
};

/// Percent of the formula that a bound is above it. Over 625 runs of 43 families, and 2,600 with options at random of nine that are
/// not replayed, the formula was at most 18.7 % below what llama.cpp took, which is 23 % of the formula.
const KNOWN_MARGIN_PERCENT: u128 = 25;

/// Bytes that a bound is above it besides, for what does not grow with the tokens: at most 0.6 MiB with micro-batches of few.
const FIXED_MARGIN_BYTES: u128 = 1 << 20;

/// Percent for a family some of whose layers keep a state: few of those were measured, one of them 25.3 % above the formula.
const HYBRID_MARGIN_PERCENT: u128 = 30;

/// The same for a family that is not known, or was not measured: a guess.
const UNKNOWN_MARGIN_PERCENT: u128 = 50;

/// Tokens of one chunk of a delta net (`build_delta_net_chunking`).
const CHUNK_TOKENS: u128 = 64;

/// How often the inner width of a delta net is held for a token of a chunk.
const CHUNK_WIDTHS: u128 = 3;

/// Embeddings of each token that lie beside the layer that predicts a further one: what the layers made of it, which is an input.
const MTP_INPUTS: u128 = 1;

/// What the compute buffer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ComputeBytes {
    pub(super) best_bytes: u64,
    pub(super) bound_bytes: u64,
    /// Both are what llama.cpp takes, to the byte.
    pub(super) is_exact: bool,
}

/// A model and the run that is made of it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) keys: &'a Keys<'a>,
    pub(super) files: &'a [&'a GgufFile],
    pub(super) model: &'a Hyperparameters<'a>,
    pub(super) layers: &'a Layers,
    pub(super) shapes: &'a BlockShapes,
    pub(super) run: &'a Run,
    /// The first block that it is about.
    pub(super) from_block: usize,
}

/// The compute buffer of a run, by a replay of its graph where that is known, else by the formula; of the version of llama.cpp that was
/// named, or the guess of the first one and the bound of all.
pub(super) fn compute_bytes(subject: Subject<'_>, kept: &[KeptBytes]) -> Result<ComputeBytes> {
    let run = subject.run;
    let wanted = run.ubatch.min(run.cells.saturating_mul(run.streams));
    // Every slot has as many tokens (`llama_context::graph_reserve`).
    let tokens = wanted.next_multiple_of(run.slots);
    let drafts = subject.model.architecture.drafts;
    let outputs = run.outputs.filter(|_| !drafts).unwrap_or(wanted).min(wanted);
    let versions = LlamaCppVersion::meant(run.options.llama_cpp_version);
    let decoder = Decoder::of(subject.keys, subject.files, subject.model, subject.layers, run)?;
    if let Some(decoder) = decoder {
        let replay = Replay::new(decoder, subject.shapes);
        // Room is made for a whole micro-batch, and for one token of each slot.
        let whole = replay.compute_bytes(Batch { tokens, outputs }, versions);
        let single = replay.compute_bytes(Batch { tokens: run.slots, outputs: run.slots }, versions);
        let each = whole.into_iter().zip(single).map(|(whole, single)| u128::from(whole.max(single)));
        return of_versions(each.map(|bytes| (bytes, bytes)));
    }
    let phases = formula(subject, kept, tokens.into(), outputs.into())?;
    let found = of_versions(versions.iter().map(|version| {
        let mixes = *version >= LlamaCppVersion::MIXES_BATCHES && may_mix(subject.model.name);
        let inputs = if mixes { mixed_bytes(subject.model, tokens.into()) } else { 0 };
        phases.beside(inputs).bytes(margin_percent(subject.model))
    }))?;
    Ok(ComputeBytes { is_exact: false, ..found })
}

/// The guess of the first version, and the largest bound of all.
fn of_versions(mut all: impl Iterator<Item = (u128, u128)>) -> Result<ComputeBytes> {
    let (best, bound) = all.next().unwrap_or_default();
    let (bound, is_exact) = all.fold((bound, best == bound), |(most, is_exact), (guess, bound)| {
        (most.max(bound), is_exact && guess == best && bound == best)
    });
    Ok(ComputeBytes { best_bytes: limited(best)?, bound_bytes: limited(bound)?, is_exact })
}

/// Inputs for a batch that mixes tokens and embeddings: the embeddings, the tokens, and where those stand.
fn mixed_bytes(model: &Hyperparameters<'_>, tokens: u128) -> u128 {
    tokens * (4 * u128::from(model.embedding) + 12)
}

/// Percent of the formula that the bound of a family is above it.
fn margin_percent(model: &Hyperparameters<'_>) -> u128 {
    match model.architecture.memory {
        _ if !model.is_known || !model.architecture.is_measured => UNKNOWN_MARGIN_PERCENT,
        LayerMemory::Hybrid(..) => HYBRID_MARGIN_PERCENT,
        LayerMemory::Nothing | LayerMemory::Attention | LayerMemory::Recurrent(_) => KNOWN_MARGIN_PERCENT,
    }
}

/// The compute buffer of the blocks that predict further tokens, which attend, and whose inputs are a token's embedding and what the
/// layers made of it: by the formula, whose bound is that of a family that is not known.
pub(super) fn mtp_compute_bytes(subject: Subject<'_>) -> Result<ComputeBytes> {
    let Subject { layers, run, .. } = subject;
    let ahead = subject.model.layers;
    let blocks = |numbers: &[u64]| numbers.get(ahead..).unwrap_or_default().to_vec();
    let model = Hyperparameters {
        architecture: &architectures::GENERIC,
        heads: blocks(&subject.model.heads),
        kv_heads: blocks(&subject.model.kv_heads),
        ..subject.model.clone()
    };
    // Either all of them slide, or what sees everything needs more.
    let slides = layers.slides_ahead.get(ahead..).is_some_and(|all| !all.contains(&false));
    let run = Run { cells: run.cells_of(slides), ..*run };
    let layers = Layers { window: None, ..layers.clone() };
    let wanted = run.ubatch.min(subject.run.cells.saturating_mul(run.streams));
    let tokens = u128::from(wanted.next_multiple_of(run.slots));
    let outputs = u128::from(run.outputs.unwrap_or(wanted).min(wanted));
    let of = Subject { model: &model, layers: &layers, run: &run, from_block: ahead, ..subject };
    let Phases { layer_bytes, logits_bytes } = formula(of, &[], tokens, outputs)?;
    let inputs = 4 * tokens * MTP_INPUTS * u128::from(model.embedding);
    let bytes = layer_bytes.saturating_add(inputs).max(logits_bytes);
    let margin = bytes.saturating_mul(UNKNOWN_MARGIN_PERCENT).div_ceil(100);
    let bound = bytes.saturating_add(margin).saturating_add(FIXED_MARGIN_BYTES);
    Ok(ComputeBytes { best_bytes: limited(bytes)?, bound_bytes: limited(bound)?, is_exact: false })
}

fn limited(bytes: u128) -> Result<u64> {
    counted(bytes).ok_or_else(|| {
        let expected = format!("so short that the compute buffer stays below {MAX_BYTES} bytes");
        Error::invalid_argument("contextLength", expected, "a longer one")
    })
}

/// What the two parts of a graph take that do not live at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Phases {
    /// The widest layer.
    layer_bytes: u128,
    /// The logits, and what they are made of.
    logits_bytes: u128,
}

impl Phases {
    /// With so many bytes beside both.
    const fn beside(self, bytes: u128) -> Self {
        Self {
            layer_bytes: self.layer_bytes.saturating_add(bytes),
            logits_bytes: self.logits_bytes.saturating_add(bytes),
        }
    }

    /// The guess, and the bound that is so many percent above it.
    fn bytes(self, margin_percent: u128) -> (u128, u128) {
        let guess = self.layer_bytes.max(self.logits_bytes);
        // Where no gap of the layers is large enough the logits lie behind them.
        let packed = guess
            .saturating_mul(100 + margin_percent)
            .div_ceil(100)
            .max(self.layer_bytes.saturating_add(self.logits_bytes));
        (guess, packed.saturating_add(FIXED_MARGIN_BYTES))
    }
}

/// The formula: what the widest part of a layer takes beside the inputs, and the logits.
///
/// Figures are elements of four bytes; what is of one token is multiplied by the tokens. Found on llama.cpp's own figures for
/// 43 families. What it misses is how the tensors are packed.
fn formula(subject: Subject<'_>, kept: &[KeptBytes], tokens: u128, outputs: u128) -> Result<Phases> {
    let Subject { model, layers, run, .. } = subject;
    let embedding = u128::from(model.embedding);
    let flash = run.options.flash_attention;
    let is_encoder = model.architecture.memory == LayerMemory::Nothing;
    // What a token sees: its own micro-batch in an encoder, else a cache.
    let seen = match model.architecture.caches {
        _ if is_encoder => tokens,
        // A window, and a key for so many tokens: at least four.
        Caches::Compressed => u128::from(run.window_cells) + u128::from(run.cells).div_ceil(4),
        // Embedders see their micro-batch, however short the context.
        _ => u128::from(run.cells).max(tokens),
    };
    let cells = match model.architecture.memory {
        LayerMemory::Nothing => seen,
        LayerMemory::Recurrent(_) => 0,
        LayerMemory::Attention | LayerMemory::Hybrid(..) => {
            seen + layers.window.map_or(0, |_| u128::from(run.window_cells))
        }
    };
    let mask = if flash { cells.div_ceil(2) } else { cells };
    let heads = u128::from(model.heads.iter().copied().max().unwrap_or(0));
    let kv_heads = u128::from(model.kv_heads.iter().copied().max().unwrap_or(0));
    let (key, value) = (u128::from(model.full.key), u128::from(model.full.value));
    let index = if flash || model.is_latent { 7 } else { 5 + 2 * kv_heads * value };
    let scores = if flash { 0 } else { heads * seen };
    let cached = if is_encoder { 0 } else { seen * u128::from(run.streams) };
    let key_bytes = u128::from(run.options.kv_type_k.block_bytes());
    let attention = if model.is_latent {
        let latent = u128::from(subject.keys.required("attention.kv_lora_rank")?);
        let rotated = u128::from(subject.keys.optional("rope.dimension_count")?.unwrap_or(0));
        // Without flash attention the cached keys are copied as values; with it, those in F32 as both.
        let copied_bytes = match run.options.kv_type_k {
            KvType::F32 if flash => 2 * cached * (2 * latent + rotated),
            _ if flash => 0,
            _ => cached * latent * key_bytes,
        };
        scores + copied_bytes.div_ceil(4 * tokens) + heads * (3 * latent + rotated) + embedding
    } else {
        // Flash attention knows no F32: such caches are copied.
        let is_copied = |kv_type| flash && kv_type == KvType::F32;
        let keys = if is_copied(run.options.kv_type_k) { key } else { 0 };
        let values = if is_copied(run.options.kv_type_v) { value } else { 0 };
        let copied_bytes = 2 * cached * kv_heads * (keys + values);
        scores + copied_bytes.div_ceil(4 * tokens) + 4 * embedding + 2 * heads * key
    };
    // A state is read out of its cache, and written after a run.
    let state =
        2 * kept.iter().map(|kept| u128::from(kept.state_bytes)).max().unwrap_or(0).div_ceil(4 * tokens);
    let widest = attention
        .max(feed_forward(subject, heads * value)?)
        .max(recurrent(subject)?.unwrap_or(0) + state + filled_up(subject, tokens)?);
    let beside_all = beside_layers(subject)? + decay(subject, tokens) + chosen(subject)?;
    let layer = tokens * (index + mask + widest + beside_all) + gathered(subject, seen)?;
    let beside =
        if model.architecture.memory == LayerMemory::Attention { mask.min(embedding) } else { embedding };
    let logits = outputs * (u128::from(model.vocabulary) + 2 * embedding + 1 + beside);
    Ok(Phases { layer_bytes: 4 * layer, logits_bytes: if is_encoder { 0 } else { 4 * logits } })
}

/// What lies beside the layers all the time: an embedding of each token for each layer, and further streams of the token.
fn beside_layers(subject: Subject<'_>) -> Result<u128> {
    let Subject { keys, model, .. } = subject;
    let each = keys.optional("embedding_length_per_layer_input")?.unwrap_or(0);
    let embeddings = u128::from(each) * model.layers as u128;
    let streams = match keys.optional("altup.num_inputs")? {
        Some(streams) => (u128::from(streams) + 2) * u128::from(model.embedding),
        None => 0,
    };
    let connections = match keys.optional("hyper_connection.count")? {
        Some(streams) => (u128::from(streams) + 2) * u128::from(model.embedding),
        None => 0,
    };
    Ok(embeddings + streams + connections)
}

/// What lightning attention multiplies pairs of a slot's tokens with, one figure a head: an input, and twice on the way.
fn decay(subject: Subject<'_>, tokens: u128) -> u128 {
    match subject.model.architecture.memory {
        LayerMemory::Hybrid(_, StateKind::LightningAttention) => {
            let heads = u128::from(subject.model.heads.iter().copied().max().unwrap_or(0));
            3 * heads * tokens.div_ceil(subject.run.slots.into())
        }
        _ => 0,
    }
}

/// What is read out of all caches at once, however few the tokens: keys of an index to be pooled, or compressed keys to lie behind
/// those of the window, all that are `seen`; keys and values of chosen blocks, for one token of each slot; and drafts of compressed models
/// copy keys. Without flash attention, and in `F32` with it, compressed keys are copied once more.
fn gathered(subject: Subject<'_>, seen: u128) -> Result<u128> {
    let Subject { keys, model, run, .. } = subject;
    let index = u128::from(keys.optional("attention.indexer.key_length")?.unwrap_or(0));
    let cells = u128::from(run.cells);
    let is_single = run.options.kv_type_k == KvType::F32;
    // Quantized keys take no more than those in F16.
    let in_type = |elements: u128| elements.div_ceil(if is_single { 1 } else { 2 });
    let of_stream = match model.architecture.caches {
        Caches::PooledIndex if is_pooled(keys)? => 2 * cells * index,
        Caches::Index(_, IndexRow::KeyAndPooled) => 2 * cells * index,
        Caches::Index(_, IndexRow::KeyGateAndPooled) => 3 * cells * index,
        Caches::Index(_, IndexRow::KeyAndValue) => {
            let blocks = u128::from(keys.optional("attention.indexer.block_size")?.unwrap_or(0));
            let chosen = u128::from(keys.optional("attention.indexer.top_k")?.unwrap_or(0)) * blocks;
            let kv_heads = u128::from(model.kv_heads.iter().copied().max().unwrap_or(0));
            in_type(chosen.min(cells) * kv_heads * u128::from(model.full.key + model.full.value))
        }
        Caches::Compressed => {
            let copies = if run.options.flash_attention && !is_single { 1 } else { 2 };
            in_type(copies * (seen * u128::from(model.sliding.key) + cells.div_ceil(4) * index))
        }
        Caches::One if keys.has("hyper_connection.count") && !run.options.flash_attention => {
            in_type(u128::from(run.window_cells) * u128::from(model.sliding.key))
        }
        _ => 0,
    };
    Ok(u128::from(run.streams) * of_stream)
}

/// What choosing tokens by an index takes: its queries, the chosen, and for each cell scores and masks. Found on llama.cpp's figures
/// of one small model a family, with other heads, widths, contexts and numbers of chosen tokens.
fn chosen(subject: Subject<'_>) -> Result<u128> {
    let Subject { keys, model, run, .. } = subject;
    let number = |key| keys.optional(key).map(|number| u128::from(number.unwrap_or(0)));
    let index_heads = number("attention.indexer.head_count")?;
    let kv_heads = u128::from(model.kv_heads.iter().copied().max().unwrap_or(0));
    // Twice what one cell takes.
    let each_cell = match model.architecture.caches {
        Caches::One | Caches::OnePerPass | Caches::EachLoop | Caches::Router => return Ok(0),
        Caches::Compressed => 0,
        Caches::Index(_, IndexRow::KeyAndValue) => 4 * kv_heads + 4,
        Caches::Index(_, IndexRow::Key) => 5,
        // Scores of every head, for pooled keys alone.
        Caches::PooledIndex | Caches::Index(_, IndexRow::KeyAndPooled | IndexRow::KeyGateAndPooled) => {
            let ratios = keys.list("attention.compress_ratios")?.unwrap_or_default();
            let pool = keys.optional("attention.indexer.kpool")?.or_else(|| ratios.into_iter().max());
            match pool.unwrap_or(0) {
                0 => return Ok(0),
                pool => (4 * index_heads).div_ceil(pool.into()) + 5,
            }
        }
    };
    let cells = u128::from(run.cells);
    let queries = 2 * index_heads * number("attention.indexer.key_length")?;
    let tokens = 4 * number("attention.indexer.top_k")?.min(cells);
    Ok(queries + tokens + (each_cell * cells).div_ceil(2))
}

/// The feed-forward networks and experts of all layers: the widest.
fn feed_forward(subject: Subject<'_>, attended: u128) -> Result<u128> {
    let embedding = u128::from(subject.model.embedding);
    let used = u128::from(subject.keys.most("expert_used_count")?.unwrap_or(0));
    let width = |suffix: &str, dimension: usize| {
        let tensors = subject.files.iter().flat_map(|file| file.tensors());
        let is_meant = |name: &str| {
            name.ends_with(suffix)
                && (subject.from_block == 0
                    || block_of(name).is_some_and(|block| block >= subject.from_block as u64))
        };
        let widths = tensors.filter(|tensor| is_meant(tensor.name()));
        u128::from(widths.filter_map(|tensor| tensor.dims().get(dimension).copied()).max().unwrap_or(0))
    };
    let dense = width(".ffn_down.weight", 0);
    let is_gated = width(".ffn_gate.weight", 0) > 0 || width(".ffn_up.weight", 1) > dense;
    let is_encoder = subject.model.architecture.memory == LayerMemory::Nothing;
    let dense = match is_gated {
        true => 3 * dense + 3 * embedding + attended,
        false if is_encoder => dense + 3 * embedding,
        false => dense + 5 * embedding,
    };
    let expert = width(".ffn_down_exps.weight", 0);
    let experts =
        (3 * used * expert + 3 * embedding + attended).max(2 * used * embedding + 4 * embedding + attended);
    Ok(if expert > 0 { dense.max(experts) } else { dense })
}

/// What delta nets take for tokens that are none: each slot fills up its last chunk, but for a single token.
fn filled_up(subject: Subject<'_>, tokens: u128) -> Result<u128> {
    let slots = u128::from(subject.run.slots);
    let each = tokens.div_ceil(slots);
    let is_chunked = matches!(
        subject.model.architecture.memory,
        LayerMemory::Hybrid(Split::LastOfEvery(_), _) | LayerMemory::Hybrid(_, StateKind::DeltaAttention)
    );
    if !is_chunked || each <= 1 {
        return Ok(0);
    }
    let inner = subject.keys.optional("ssm.inner_size")?.unwrap_or(0);
    let filling = slots * each.next_multiple_of(CHUNK_TOKENS) - tokens;
    Ok((filling * CHUNK_WIDTHS * u128::from(inner)).div_ceil(tokens))
}

/// The recurrent layers, without their state.
fn recurrent(subject: Subject<'_>) -> Result<Option<u128>> {
    let (LayerMemory::Recurrent(kind) | LayerMemory::Hybrid(_, kind)) = subject.model.architecture.memory
    else {
        return Ok(None);
    };
    let embedding = u128::from(subject.model.embedding);
    let number = |key| subject.keys.optional(key).map(|number| u128::from(number.unwrap_or(0)));
    let inner = number("ssm.inner_size")?;
    Ok(Some(match kind {
        StateKind::Mamba => 6 * inner + embedding,
        StateKind::GroupedMamba => {
            let channels = 2 * inner + 2 * number("ssm.group_count")? * number("ssm.state_size")?;
            3 * (channels + number("ssm.time_step_rank")?) + 2 * embedding
        }
        StateKind::Rwkv => 20 * embedding,
        StateKind::ShortConvolution => 8 * embedding,
        StateKind::DeltaAttention => {
            let heads = u128::from(subject.model.heads.first().copied().unwrap_or(0));
            12 * heads * number("kda.head_dim")? + embedding
        }
        StateKind::LightningAttention => {
            let heads = u128::from(subject.model.heads.first().copied().unwrap_or(0));
            12 * heads * u128::from(subject.model.full.key) + embedding
        }
    }))
}
