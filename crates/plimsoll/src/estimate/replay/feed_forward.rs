//! Feed-forward networks: `build_ffn`, and experts with what goes beside them.

use super::{build::Build, graph::TensorId};

impl Build<'_> {
    /// What a layer's feed-forward network, or its experts, make of it.
    pub(super) fn fed(&mut self, layer: usize, read: TensorId) -> TensorId {
        let decoder = self.decoder;
        if !decoder.has(layer, "ffn_gate_inp") {
            return self.feed_forward(layer, read, ["ffn_gate", "ffn_up", "ffn_down"]);
        }
        let chosen = self.experts(layer, read);
        if !decoder.has(layer, "ffn_up_shexp") {
            return chosen;
        }
        let mut shared = self.feed_forward(layer, read, ["ffn_gate_shexp", "ffn_up_shexp", "ffn_down_shexp"]);
        if decoder.has(layer, "ffn_gate_inp_shexp") {
            let [_, tokens, ..] = self.graph.dims(read);
            let gate = self.product(read, 1);
            let active = self.graph.in_place([1, tokens, 1, 1], &[gate]);
            let gate = self.graph.in_place([1, tokens, 1, 1], &[active, gate]);
            shared = self.graph.in_place(self.graph.dims(shared), &[shared, gate]);
        }
        self.sum(chosen, shared)
    }

    /// With a gate of its own, with both halves in one matrix, or without a gate.
    fn feed_forward(&mut self, layer: usize, read: TensorId, [gate, up, down]: [&str; 3]) -> TensorId {
        let decoder = self.decoder;
        let [_, tokens, ..] = self.graph.dims(read);
        let (rows, width) = (decoder.rows(layer, up), decoder.columns(layer, down));
        let active = if decoder.has(layer, gate) {
            let gate = self.product(read, decoder.rows(layer, gate));
            let up = self.product(read, rows);
            self.graph.computed([rows, tokens, 1, 1], &[gate, up])
        } else {
            let product = self.product(read, rows);
            if rows > width { self.graph.computed([width, tokens, 1, 1], &[product]) } else { product }
        };
        self.product(active, decoder.model.embedding)
    }
}
