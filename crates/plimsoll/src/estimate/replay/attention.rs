//! Attention over a cache of keys and values: `build_qkv`, `build_attn` and `build_attn_mha`.

use super::{
    build::{Build, CELL_INDEX_BYTES, CacheInputs, input},
    graph::{Graph, TensorId},
};
use crate::estimate::kv_type::KvType;

/// A rotation before quantised values are stored is a square of this side; that of keys a larger power of two where one divides
/// their width.
const ROTATION: u64 = 64;

/// Bytes of an `F16`.
const HALF_BYTES: u64 = 2;

/// Heads of one layer.
#[derive(Clone, Copy)]
struct Heads {
    queries: u64,
    keys: u64,
    key_width: u64,
    value_width: u64,
    slides: bool,
}

/// What attention over a cache takes and gives.
#[derive(Clone, Copy)]
pub(super) struct Attended {
    pub(super) queries: TensorId,
    /// The values where they are copied out of the cache; else they are read in it.
    pub(super) values: Option<TensorId>,
    pub(super) mask: TensorId,
    pub(super) cells: u64,
    pub(super) heads: u64,
    pub(super) kv_heads: u64,
    /// How keys and values are cached.
    pub(super) types: [KvType; 2],
    pub(super) key_width: u64,
    /// Width of a cached value.
    pub(super) value_width: u64,
    /// The width to which a matrix of each head brings the result.
    pub(super) widened_to: Option<u64>,
}

impl Build<'_> {
    /// Attention of a layer, up to the product with the output matrix.
    pub(super) fn attention(&mut self, layer: usize, read: TensorId) -> TensorId {
        let attended = match self.decoder.latent {
            Some(widths) => self.latent_attention(layer, read, widths),
            None => self.head_attention(layer, read),
        };
        self.product(attended, self.decoder.model.embedding)
    }

    fn head_attention(&mut self, layer: usize, read: TensorId) -> TensorId {
        let decoder = self.decoder;
        let slides = decoder.slides(layer);
        let widths = decoder.model.head_widths(slides);
        let heads = Heads {
            queries: decoder.model.heads.get(layer).copied().unwrap_or(0),
            keys: decoder.model.kv_heads_of(layer),
            key_width: widths.key,
            value_width: widths.value,
            slides,
        };
        let [mut queries, mut keys, values] = self.queries_keys_values(layer, read, heads);
        if decoder.is_rotated(layer) {
            queries = self.rotated(queries);
            keys = self.rotated(keys);
        }
        if decoder.scales_queries {
            queries = self.scaled_queries(queries);
        }
        let values_are_apart = decoder.has(layer, "attn_qkv") && !decoder.family.norms_rows;
        self.cached_attention(heads, [queries, keys, values], values_are_apart)
    }

    /// Products with the three matrices, or parts of one product, normed where the layer has norms for them.
    fn queries_keys_values(&mut self, layer: usize, read: TensorId, heads: Heads) -> [TensorId; 3] {
        let decoder = self.decoder;
        let norms_rows = decoder.family.norms_rows;
        let shapes = [
            (heads.key_width, heads.queries),
            (heads.key_width, heads.keys),
            (heads.value_width, heads.keys),
        ];
        let parts = if decoder.has(layer, "attn_qkv") {
            let all =
                shapes.iter().map(|(width, heads)| width.saturating_mul(*heads)).fold(0, u64::saturating_add);
            let fused = self.product(read, all);
            shapes.map(|(width, heads)| {
                if norms_rows {
                    let dims = [width.saturating_mul(heads), self.tokens, 1, 1];
                    let part = self.graph.view(fused, dims, false);
                    self.graph.computed(dims, &[part])
                } else {
                    self.graph.view(fused, [width, heads, self.tokens, 1], false)
                }
            })
        } else {
            shapes.map(|(width, heads)| self.product(read, width.saturating_mul(heads)))
        };
        let norms = [decoder.has(layer, "attn_q_norm"), decoder.has(layer, "attn_k_norm"), false];
        let mut result = parts;
        for ((part, has_norm), (width, heads)) in result.iter_mut().zip(norms).zip(shapes) {
            if has_norm && norms_rows {
                *part = self.norm(*part);
            }
            if norms_rows || !decoder.has(layer, "attn_qkv") {
                *part = self.graph.view(*part, [width, heads, self.tokens, 1], true);
            }
            if has_norm && !norms_rows {
                *part = self.norm(*part);
            }
        }
        result
    }

    /// Queries times a figure of their position.
    pub(super) fn scaled_queries(&mut self, queries: TensorId) -> TensorId {
        let scales = input(&mut self.inputs.query_scales, &mut self.graph, self.tokens, 4);
        self.graph.in_place(self.graph.dims(queries), &[queries, scales])
    }

    fn cached_attention(
        &mut self,
        heads: Heads,
        [mut queries, mut keys, mut values]: [TensorId; 3],
        mut values_are_apart: bool,
    ) -> TensorId {
        let run = self.decoder.run;
        let (tokens, flash) = (self.tokens, run.options.flash_attention);
        let cells = run.cells_of(heads.slides);
        let mut inputs = if heads.slides { self.inputs.sliding } else { self.inputs.full };
        let graph = &mut self.graph;
        if let Some(side) = rotation(run.options.kv_type_k, heads.key_width) {
            let side = largest_power(heads.key_width).max(side);
            let matrix = input(&mut inputs.key_rotation, graph, side.saturating_mul(side), 4);
            queries = turned(graph, queries, matrix, side);
            keys = turned(graph, keys, matrix, side);
        }
        if let Some(side) = rotation(run.options.kv_type_v, heads.value_width) {
            let matrix = input(&mut inputs.value_rotation, graph, side.saturating_mul(side), 4);
            values = turned(graph, values, matrix, side);
            values_are_apart = false;
        }
        // With windows the keys come first (`llm_graph_input_attn_kv_iswa`).
        let order = if self.decoder.layers.window.is_some() {
            [queries, keys, values]
        } else {
            [queries, values, keys]
        };
        for part in order {
            graph.expand(part);
        }
        let value_row = heads.value_width.saturating_mul(heads.keys);
        let each_value = if flash { 1 } else { self.decoder.widest_value };
        let key_cells = input(&mut inputs.key_cells, graph, tokens, CELL_INDEX_BYTES);
        let value_cells =
            input(&mut inputs.value_cells, graph, tokens.saturating_mul(each_value), CELL_INDEX_BYTES);
        let key_rows = graph.view(keys, [heads.key_width.saturating_mul(heads.keys), tokens, 1, 1], false);
        graph.store(&[key_rows, key_cells]);
        let value_dims = [value_row, tokens, 1, 1];
        let mut value_rows = if values_are_apart && !flash {
            graph.computed(value_dims, &[values])
        } else {
            graph.view(values, value_dims, !flash)
        };
        if value_row < each_value {
            value_rows = graph.computed([each_value, tokens, 1, 1], &[value_rows]);
        }
        graph.store(&[value_rows, value_cells]);
        let mask = self.mask(&mut inputs, cells);
        let mut result = self.attended(Attended {
            queries,
            values: None,
            mask,
            cells,
            heads: heads.queries,
            kv_heads: heads.keys,
            types: [run.options.kv_type_k, run.options.kv_type_v],
            key_width: heads.key_width,
            value_width: heads.value_width,
            widened_to: None,
        });
        if let Some(matrix) = inputs.value_rotation {
            result = turned(&mut self.graph, result, matrix, ROTATION);
        }
        if heads.slides {
            self.inputs.sliding = inputs;
        } else {
            self.inputs.full = inputs;
        }
        result
    }

    /// Which cells each token sees.
    pub(super) fn mask(&mut self, inputs: &mut CacheInputs, cells: u64) -> TensorId {
        let bytes = if self.decoder.run.options.flash_attention { HALF_BYTES } else { 4 };
        input(&mut inputs.mask, &mut self.graph, cells.saturating_mul(self.tokens), bytes)
    }

    /// Queries against cached keys and values: a row of all heads for each token.
    pub(super) fn attended(&mut self, of: Attended) -> TensorId {
        let streams = self.decoder.run.streams;
        let each = self.tokens.checked_div(streams).unwrap_or(0);
        let graph = &mut self.graph;
        let split = graph.view(of.queries, [of.key_width, of.heads, each, streams], false);
        let queries = graph.view(split, [of.key_width, each, of.heads, streams], false);
        let flash = self.decoder.run.options.flash_attention;
        let mut cached = |kv_type: KvType, width: u64| {
            let cache = graph.external();
            // Flash attention knows no F32.
            if flash && kv_type == KvType::F32 {
                graph.computed_of([width, of.cells, of.kv_heads, streams], HALF_BYTES, &[cache])
            } else {
                cache
            }
        };
        let [key_type, value_type] = of.types;
        let keys = cached(key_type, of.key_width);
        let values = of.values.unwrap_or_else(|| cached(value_type, of.value_width));
        let width = of.widened_to.unwrap_or(of.value_width);
        let result_dims = [width.saturating_mul(of.heads), self.tokens, 1, 1];
        let by_head = |width| [width, each, of.heads, streams];
        let by_token = |width| [width, of.heads, each, streams];
        let result = if flash {
            let mut attended = graph.computed(by_token(of.value_width), &[queries, keys, values, of.mask]);
            if of.widened_to.is_some() {
                let turned = graph.view(attended, by_head(of.value_width), false);
                let matrix = graph.external();
                let wide = graph.computed(by_head(width), &[matrix, turned]);
                let turned = graph.view(wide, by_token(width), false);
                attended = graph.computed(by_token(width), &[turned]);
            }
            graph.view(attended, result_dims, true)
        } else {
            let score_dims = by_head(of.cells);
            let scores = graph.computed(score_dims, &[keys, queries]);
            let weights = graph.in_place(score_dims, &[scores, of.mask]);
            let mut attended = graph.computed(by_head(of.value_width), &[values, weights]);
            if of.widened_to.is_some() {
                let matrix = graph.external();
                attended = graph.computed(by_head(width), &[matrix, attended]);
            }
            let turned = graph.view(attended, by_token(width), false);
            graph.computed(result_dims, &[turned])
        };
        graph.expand(result);
        result
    }
}

/// The side of the rotation before a cache of this type, if there is one.
fn rotation(kv_type: KvType, width: u64) -> Option<u64> {
    (kv_type.block_elements() > 1 && width > 0 && width.is_multiple_of(ROTATION)).then_some(ROTATION)
}

/// The largest power of two that divides it.
const fn largest_power(width: u64) -> u64 {
    1 << width.trailing_zeros()
}

/// `llama_mul_mat_hadamard`.
fn turned(graph: &mut Graph, of: TensorId, matrix: TensorId, side: u64) -> TensorId {
    let dims = graph.dims(of);
    let elements = dims.into_iter().fold(1, u64::saturating_mul);
    let folded = [side, elements.checked_div(side).unwrap_or(0), 1, 1];
    let is_contiguous = graph.tensor(of).is_some_and(|tensor| tensor.is_contiguous);
    let rows = if is_contiguous { graph.view(of, folded, true) } else { graph.computed(folded, &[of]) };
    let product = graph.computed(folded, &[matrix, rows]);
    graph.view(product, dims, true)
}
