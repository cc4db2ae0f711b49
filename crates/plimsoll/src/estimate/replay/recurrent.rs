//! Layers that keep a state: `build_mamba_layer`, `build_mamba2_layer`, short convolutions, and `build_rs`.

use super::{
    build::{Build, TOKEN_INDEX_BYTES, input},
    graph::TensorId,
    hyperparameters::StateSizes,
};
use crate::estimate::llama_version::LlamaCppVersion;

impl Build<'_> {
    /// A layer with a state, up to the product with the output matrix.
    pub(super) fn recurrent(&mut self, layer: usize, read: TensorId) -> TensorId {
        if let Some(tokens) = self.decoder.short_convolution {
            return self.short_convolution(read, tokens);
        }
        let Some(sizes) = self.decoder.state else { return read };
        match sizes.groups {
            None => self.first_version(layer, read, sizes),
            Some(groups) => self.second_version(layer, read, sizes, groups),
        }
    }

    fn first_version(&mut self, layer: usize, read: TensorId, sizes: StateSizes) -> TensorId {
        let StateSizes { inner, state, steps, .. } = sizes;
        let (each, slots) = self.shares();
        let channels = [inner, each, slots, 1];
        let kept = self.kept_inputs(sizes.convolution, sizes.channels());
        let embedding = self.decoder.model.embedding;
        let split = self.graph.view(read, [embedding, each, slots, 1], true);
        let product = self.product(split, inner.saturating_mul(2));
        let inputs = self.graph.view(product, [sizes.channels(), each, slots, 1], false);
        let convolved = self.convolved(inputs, kept, sizes.convolution);

        let small = self.product(convolved, steps.saturating_add(state.saturating_mul(2)));
        let time = self.graph.view(small, [steps, each, slots, 1], false);
        let vectors = [(); 2].map(|()| self.graph.view(small, [state, 1, each, slots], false));
        let has = |part| self.decoder.has(layer, part);
        let has_norms = sizes.norms || has("ssm_dt_norm") && has("ssm_b_norm") && has("ssm_c_norm");
        let (time, vectors) = if has_norms {
            (self.norm(time), vectors.map(|vector| self.norm(vector)))
        } else {
            (self.graph.computed([steps, each, slots, 1], &[time]), vectors)
        };
        let time = self.product(time, inner);
        let heads = self.graph.view(convolved, [1, inner, each, slots], true);
        let scanned = self.scanned(sizes, [heads, time], vectors);

        let skipped = self.graph.in_place(channels, &[convolved]);
        let gate = self.graph.view(product, channels, false);
        let gated = self.gated(channels, scanned, skipped, gate);
        let result = self.product(gated, embedding);
        self.graph.view(result, [embedding, self.tokens, 1, 1], true)
    }

    fn second_version(&mut self, layer: usize, read: TensorId, sizes: StateSizes, groups: u64) -> TensorId {
        let StateSizes { inner, state, steps, .. } = sizes;
        let (each, slots) = self.shares();
        let heads = [inner.checked_div(steps).unwrap_or(0), steps, each, slots];
        let kept = self.kept_inputs(sizes.convolution, sizes.channels());
        let rows = inner.saturating_add(sizes.channels()).saturating_add(steps);
        let product = self.product(read, rows);
        let product = self.graph.view(product, [rows, each, slots, 1], true);
        let inputs = self.graph.view(product, [sizes.channels(), each, slots, 1], false);
        let convolved = self.convolved(inputs, kept, sizes.convolution);

        let parts = self.graph.view(convolved, heads, false);
        let vectors = [(); 2].map(|()| self.graph.view(convolved, [state, groups, each, slots], false));
        let time = self.graph.view(product, [steps, each, slots, 1], false);
        let time = self.graph.computed([steps, each, slots, 1], &[time]);
        let scanned = self.scanned(sizes, [parts, time], vectors);

        let skipped = self.graph.in_place(heads, &[parts]);
        let gate = self.graph.view(product, heads, false);
        let mut gated = self.gated(heads, scanned, skipped, gate);
        if self.decoder.has(layer, "ssm_norm") {
            let width = inner.checked_div(groups).unwrap_or(0);
            gated = self.graph.view(gated, [width, groups, each, slots], true);
            gated = self.norm(gated);
        }
        let gated = self.graph.view(gated, [inner, self.tokens, 1, 1], true);
        self.product(gated, self.decoder.model.embedding)
    }

    /// A convolution over a few tokens, between two gates.
    fn short_convolution(&mut self, read: TensorId, seen: u64) -> TensorId {
        let (each, slots) = self.shares();
        let embedding = self.decoder.model.embedding;
        let dims = [embedding, each, slots, 1];
        let kept = self.kept_inputs(seen, embedding);
        let split = self.graph.view(read, dims, true);
        let product = self.product(split, embedding.saturating_mul(3));
        let [gate, inputs, last_gate] = [(); 3].map(|()| self.graph.view(product, dims, false));
        let gated = self.graph.in_place(dims, &[gate, inputs]);
        let convolved = self.convolved(gated, kept, seen);
        let gated = self.graph.in_place(dims, &[last_gate, convolved]);
        let result = self.product(gated, embedding);
        self.graph.view(result, [embedding, self.tokens, 1, 1], true)
    }

    /// Tokens of each slot, and slots.
    fn shares(&self) -> (u64, u64) {
        let slots = self.decoder.run.slots;
        (self.tokens.checked_div(slots).unwrap_or(0), slots)
    }

    /// The inputs that a convolution saw last, of all slots.
    fn kept_inputs(&mut self, seen: u64, channels: u64) -> TensorId {
        let (_, slots) = self.shares();
        let before = seen.saturating_sub(1);
        let states = self.states();
        let cache = self.graph.external();
        let dims = [before.saturating_mul(channels), slots, 1, 1];
        let kept = self.graph.computed(dims, &[cache, states]);
        self.graph.expand(kept);
        self.graph.view(kept, [before, channels, slots, 1], true)
    }

    /// A convolution over so many tokens; those that the next one will see are kept.
    fn convolved(&mut self, inputs: TensorId, kept: TensorId, seen: u64) -> TensorId {
        let graph = &mut self.graph;
        let [channels, each, slots, _] = graph.dims(inputs);
        let before = seen.saturating_sub(1);
        let turned = graph.view(inputs, [each, channels, slots, 1], false);
        let all = graph.computed([before.saturating_add(each), channels, slots, 1], &[kept, turned]);
        let last = graph.view(all, [before, channels, slots, 1], false);
        graph.store(&[last]);
        let weights = graph.external();
        graph.computed([channels, each, slots, 1], &[all, weights])
    }

    /// The scan over all tokens, whose last states are kept.
    fn scanned(
        &mut self,
        sizes: StateSizes,
        [heads, time]: [TensorId; 2],
        [taken_in, given_out]: [TensorId; 2],
    ) -> TensorId {
        let (_, slots) = self.shares();
        let states = self.states();
        let graph = &mut self.graph;
        let [kept, decay] = [(); 2].map(|()| graph.external());
        let dims = [sizes.scanned(self.tokens, slots), 1, 1, 1];
        let scanned = graph.computed(dims, &[kept, heads, time, decay, taken_in, given_out, states]);
        graph.expand(scanned);
        if slots > 1 {
            graph.since = LlamaCppVersion::GATHERS_FURTHER_STATES;
            // Those behind the first are read once more, for slots that are not in the batch.
            let cache = graph.external();
            let dims = [sizes.kept(slots - 1), 1, 1, 1];
            let gathered = graph.computed(dims, &[cache, states]);
            let further = graph.view(gathered, dims, true);
            graph.store(&[further]);
            graph.since = LlamaCppVersion::FIRST;
        }
        let last = graph.view(scanned, [sizes.kept(slots), 1, 1, 1], true);
        graph.store(&[last]);
        scanned
    }

    /// The rows of a scan and what went around it, times the gate.
    fn gated(&mut self, dims: [u64; 4], scanned: TensorId, skipped: TensorId, gate: TensorId) -> TensorId {
        let graph = &mut self.graph;
        let rows = graph.view(scanned, dims, true);
        let sum = graph.in_place(dims, &[rows, skipped]);
        let gate = graph.computed(dims, &[gate]);
        graph.computed(dims, &[gate, sum])
    }

    /// Which state each slot goes on with.
    fn states(&mut self) -> TensorId {
        let slots = self.decoder.run.slots;
        input(&mut self.inputs.states, &mut self.graph, slots, TOKEN_INDEX_BYTES)
    }
}
