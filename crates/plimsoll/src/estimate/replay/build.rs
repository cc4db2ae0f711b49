//! The way through all layers, and the steps that all of them share.

use super::{
    decoder::Decoder,
    family::{Picks, Residual},
    graph::{Graph, LayerEnds, TensorId},
};
use crate::estimate::llama_version::{LlamaCppVersion, may_mix};

/// Bytes of a cell's index (`I64`), and of a token's (`I32`).
pub(super) const CELL_INDEX_BYTES: u64 = 8;
pub(super) const TOKEN_INDEX_BYTES: u64 = 4;

/// Of a row that is written (`I64`).
const ROW_INDEX_BYTES: u64 = 8;

/// The graph of a batch through these layers.
pub(super) fn graph(decoder: &Decoder<'_>, layers: &[usize], batch: Batch) -> Graph {
    let Batch { tokens, outputs } = batch;
    let mut build = Build { decoder, graph: Graph::new(), inputs: Inputs::default(), tokens };
    let picks = decoder.family.picks;
    let embedded = build.embedded();
    let mut current = build.read_embedded(embedded);
    for &layer in layers {
        let first = build.graph.len();
        let is_last = layer + 1 == decoder.model.layers;
        let is_within = matches!(picks, Picks::BeforeSums | Picks::AfterFirstSum);
        current = build.layer(layer, current, (is_last && is_within).then_some(outputs));
        if (layer as u64) < decoder.deep_layers {
            let deep = build.graph.view(embedded, build.graph.dims(current), false);
            current = build.sum(current, deep);
        }
        build.graph.layers.push(LayerEnds { first, output: current });
    }
    if picks == Picks::AfterLayers {
        build.graph.keep(current);
        current = build.picked(current, outputs);
    }
    let mut normed = build.norm(current);
    build.graph.keep(normed);
    if picks == Picks::AfterNorm {
        normed = build.picked(normed, outputs);
        build.graph.keep(normed);
    }
    let logits = build.product(normed, decoder.model.vocabulary);
    build.graph.keep(logits);
    build.graph.expand(logits);
    build.graph
}

/// What a graph is built for.
#[derive(Debug, Clone, Copy)]
pub(in crate::estimate) struct Batch {
    /// Tokens that are computed at once.
    pub(in crate::estimate) tokens: u64,
    /// Those whose logits are wanted.
    pub(in crate::estimate) outputs: u64,
}

/// What all layers read, made when the first one does.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    positions: Option<TensorId>,
    outputs: Option<TensorId>,
    pub(super) query_scales: Option<TensorId>,
    /// Which state each slot goes on with.
    pub(super) states: Option<TensorId>,
    pub(super) full: CacheInputs,
    pub(super) sliding: CacheInputs,
}

/// What all layers of one cache read.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct CacheInputs {
    pub(super) key_rotation: Option<TensorId>,
    pub(super) value_rotation: Option<TensorId>,
    pub(super) key_cells: Option<TensorId>,
    pub(super) value_cells: Option<TensorId>,
    pub(super) mask: Option<TensorId>,
}

/// The input of a slot, made when it is first asked for.
pub(super) fn input(
    slot: &mut Option<TensorId>,
    graph: &mut Graph,
    elements: u64,
    element_bytes: u64,
) -> TensorId {
    *slot.get_or_insert_with(|| graph.input(elements, element_bytes))
}

/// A graph that grows.
pub(super) struct Build<'a> {
    pub(super) decoder: &'a Decoder<'a>,
    pub(super) graph: Graph,
    pub(super) inputs: Inputs,
    pub(super) tokens: u64,
}

impl Build<'_> {
    /// The embeddings of all tokens, with room for those of a picture's deep layers.
    fn embedded(&mut self) -> TensorId {
        let (decoder, tokens) = (self.decoder, self.tokens);
        let dims = [decoder.model.embedding, tokens, 1, 1];
        let width = dims[0].saturating_mul(decoder.deep_layers.saturating_add(1));
        let wide_dims = [width, tokens, 1, 1];
        let mut embedded = self.looked_up(wide_dims);
        self.graph.expand(embedded);
        // Room for embeddings that are given instead of tokens is always made.
        let given = self.graph.input(width.saturating_mul(tokens), 4);
        self.graph.expand(given);
        if may_mix(decoder.model.name) {
            self.graph.since = LlamaCppVersion::MIXES_BATCHES;
            // Those of tokens are written over a copy of the given ones.
            let looked_up = self.looked_up(wide_dims);
            let given = self.graph.input(width.saturating_mul(tokens), 4);
            let copy = self.graph.computed(wide_dims, &[given]);
            let rows = self.graph.input(tokens, ROW_INDEX_BYTES);
            let mixed = self.graph.over(copy, &[looked_up, rows]);
            self.graph.expand(mixed);
            self.graph.since = LlamaCppVersion::FIRST;
        }
        if decoder.deep_layers > 0 {
            embedded = self.graph.view(embedded, dims, false);
            self.graph.expand(embedded);
        }
        if decoder.family.scales_embeddings {
            self.graph.since = LlamaCppVersion::MIXES_BATCHES;
            let scales = self.graph.input(tokens, 4);
            self.graph.since = LlamaCppVersion::FIRST;
            embedded = self.graph.in_place(dims, &[embedded, scales]);
            self.graph.expand(embedded);
        }
        embedded
    }

    /// The embeddings of tokens by their numbers, padded to this width.
    fn looked_up(&mut self, [width, tokens, ..]: [u64; 4]) -> TensorId {
        let embedding = self.decoder.model.embedding;
        let weights = self.graph.external();
        let ids = self.graph.input(tokens, TOKEN_INDEX_BYTES);
        let embedded = self.graph.computed([embedding, tokens, 1, 1], &[weights, ids]);
        if width == embedding { embedded } else { self.graph.computed([width, tokens, 1, 1], &[embedded]) }
    }

    /// The embeddings as the first layer reads them.
    fn read_embedded(&mut self, embedded: TensorId) -> TensorId {
        let mut current = embedded;
        if self.decoder.family.embeds_positions {
            let positions = self.positions();
            let weights = self.graph.external();
            let dims = self.graph.dims(embedded);
            let placed = self.graph.computed(dims, &[weights, positions]);
            current = self.sum(current, placed);
        }
        if self.decoder.family.norms_embeddings { self.norm(current) } else { current }
    }

    fn positions(&mut self) -> TensorId {
        let elements = self.tokens.saturating_mul(self.decoder.family.positions);
        input(&mut self.inputs.positions, &mut self.graph, elements, TOKEN_INDEX_BYTES)
    }

    /// A matrix times what each token has.
    pub(super) fn product(&mut self, of: TensorId, rows: u64) -> TensorId {
        let [_, columns, others, last] = self.graph.dims(of);
        let weights = self.graph.external();
        self.graph.computed([rows, columns, others, last], &[weights, of])
    }

    /// A norm of what the family has; its weight and bias work in place.
    pub(super) fn norm(&mut self, of: TensorId) -> TensorId {
        let dims = self.graph.dims(of);
        if self.decoder.family.has_rms_norms {
            self.graph.in_place(dims, &[of])
        } else {
            self.graph.computed(dims, &[of])
        }
    }

    /// Lies over the first if nobody else reads it, else over the second.
    pub(super) fn sum(&mut self, first: TensorId, second: TensorId) -> TensorId {
        self.graph.in_place(self.graph.dims(first), &[first, second])
    }

    /// Turned by the positions of its tokens.
    pub(super) fn rotated(&mut self, of: TensorId) -> TensorId {
        let positions = self.positions();
        self.graph.in_place(self.graph.dims(of), &[of, positions])
    }

    /// The tokens whose logits are wanted.
    fn picked(&mut self, of: TensorId, outputs: u64) -> TensorId {
        let ids = input(&mut self.inputs.outputs, &mut self.graph, outputs, TOKEN_INDEX_BYTES);
        self.graph.computed([self.decoder.model.embedding, outputs, 1, 1], &[of, ids])
    }

    fn layer(&mut self, layer: usize, of: TensorId, picks: Option<u64>) -> TensorId {
        let family = self.decoder.family;
        let mut around = of;
        let (mut mixed, mut read) = self.mixed(layer, of);
        if let Some(outputs) = picks.filter(|_| family.picks == Picks::BeforeSums) {
            mixed = self.picked(mixed, outputs);
            around = self.picked(around, outputs);
            read = self.picked(read, outputs);
        }
        if family.norms_after {
            mixed = self.norm(mixed);
        }
        match family.residual {
            Residual::Sums | Residual::SumsOrShares => {}
            Residual::FeedForwardFirst => {
                let fed = self.fed(layer, read);
                let fed = self.sum(fed, around);
                return self.sum(fed, mixed);
            }
            Residual::AttentionFirst => {
                let fed = self.fed(layer, read);
                let mixed = self.sum(mixed, fed);
                return self.sum(mixed, around);
            }
        }
        around =
            if family.adds_attention_to_residual { self.sum(around, mixed) } else { self.sum(mixed, around) };
        if let Some(outputs) = picks.filter(|_| family.picks == Picks::AfterFirstSum) {
            around = self.picked(around, outputs);
        }
        let is_mixed = self.decoder.keeps_kv(layer) || self.decoder.keeps_state(layer);
        if !is_mixed || !self.decoder.has_feed_forward(layer) {
            return around;
        }
        if family.residual == Residual::Sums || self.decoder.has(layer, "ffn_norm") {
            read = if family.norms_before { self.norm(around) } else { around };
        }
        let mut fed = self.fed(layer, read);
        if family.norms_after {
            fed = self.norm(fed);
        }
        if family.adds_feed_forward_to_residual { self.sum(around, fed) } else { self.sum(fed, around) }
    }

    /// What attention and state make of the input, and what they read; the feed-forward network alone where there is neither.
    fn mixed(&mut self, layer: usize, of: TensorId) -> (TensorId, TensorId) {
        let (decoder, norms) = (self.decoder, self.decoder.family.norms_before);
        let read = if norms { self.norm(of) } else { of };
        match (decoder.keeps_kv(layer), decoder.keeps_state(layer)) {
            (true, true) => {}
            (true, false) => return (self.attention(layer, read), read),
            (false, true) => return (self.recurrent(layer, read), read),
            (false, false) => return (self.fed(layer, read), read),
        }
        let attended = self.attention(layer, read);
        let read = if norms { self.norm(of) } else { of };
        let scanned = self.recurrent(layer, read);
        (self.sum(attended, scanned), read)
    }
}
