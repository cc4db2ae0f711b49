//! Latent attention: keys and values of all heads in one short row a token, out of which each head takes its own.

use super::{
    attention::Attended,
    build::{Build, CELL_INDEX_BYTES, input},
    graph::TensorId,
    hyperparameters::LatentWidths,
};

impl Build<'_> {
    pub(super) fn latent_attention(
        &mut self,
        layer: usize,
        read: TensorId,
        widths: LatentWidths,
    ) -> TensorId {
        let decoder = self.decoder;
        let tokens = self.tokens;
        let heads = decoder.model.heads.get(layer).copied().unwrap_or(0);
        let head = widths.plain.saturating_add(widths.rotated);
        let row = widths.latent.saturating_add(widths.rotated);

        let read_for_queries = if decoder.has(layer, "attn_q") {
            read
        } else {
            let short = self.product(read, decoder.rows(layer, "attn_q_a"));
            self.norm(short)
        };
        let product = self.product(read_for_queries, head.saturating_mul(heads));
        let queries = self.graph.view(product, [head, heads, tokens, 1], true);
        let plain = self.graph.view(queries, [widths.plain, heads, tokens, 1], false);
        let turned = self.graph.view(plain, [widths.plain, tokens, heads, 1], false);
        let matrix = self.graph.external();
        let absorbed = self.graph.computed([widths.latent, tokens, heads, 1], &[matrix, turned]);
        let absorbed = self.graph.view(absorbed, [widths.latent, heads, tokens, 1], false);
        let positioned = self.graph.view(queries, [widths.rotated, heads, tokens, 1], false);
        let positioned = self.rotated(positioned);
        let mut queries = self.graph.computed([row, heads, tokens, 1], &[absorbed, positioned]);

        let product = self.product(read, row);
        let latent = self.graph.view(product, [widths.latent, tokens, 1, 1], false);
        let latent = self.norm(latent);
        let values = self.graph.view(latent, [widths.latent, 1, tokens, 1], true);
        let positioned = self.graph.view(product, [widths.rotated, 1, tokens, 1], false);
        let positioned = self.rotated(positioned);
        let keys = self.graph.computed([row, 1, tokens, 1], &[values, positioned]);
        if decoder.scales_queries {
            queries = self.scaled_queries(queries);
        }

        for part in [queries, values, keys] {
            self.graph.expand(part);
        }
        let run = decoder.run;
        let cells = run.cells_of(false);
        let mut inputs = self.inputs.full;
        let key_cells = input(&mut inputs.key_cells, &mut self.graph, tokens, CELL_INDEX_BYTES);
        let key_rows = self.graph.view(keys, [row, tokens, 1, 1], false);
        self.graph.store(&[key_rows, key_cells]);
        let kv_type = run.options.kv_type_k;
        let values = (!run.options.flash_attention).then(|| {
            let cache = self.graph.external();
            let dims = [cells, widths.latent, 1, run.streams];
            self.graph.computed_of(dims, kv_type.block_bytes(), &[cache])
        });
        let mask = self.mask(&mut inputs, cells);
        self.inputs.full = inputs;
        self.attended(Attended {
            queries,
            values,
            mask,
            cells,
            heads,
            kv_heads: 1,
            types: [kv_type; 2],
            key_width: row,
            value_width: widths.latent,
            widened_to: Some(widths.value),
        })
    }
}
