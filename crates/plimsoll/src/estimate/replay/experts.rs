//! Experts: `build_moe_ffn`.

use super::{
    build::Build,
    family::ExpertWeights,
    graph::{Graph, TensorId},
    hyperparameters::ExpertChoice,
};

impl Build<'_> {
    /// The sum of what the chosen experts make of each token.
    pub(super) fn experts(&mut self, layer: usize, read: TensorId) -> TensorId {
        let decoder = self.decoder;
        let (experts, rows) = (decoder.rows(layer, "ffn_gate_inp"), decoder.rows(layer, "ffn_up_exps"));
        let (used, embedding) = (decoder.experts.used, decoder.model.embedding);
        let [_, tokens, ..] = self.graph.dims(read);
        let logits = self.product(read, experts);
        let (weights, chosen) = self.chosen(layer, logits);
        let graph = &mut self.graph;
        graph.expand(weights);
        let each = graph.view(read, [embedding, 1, tokens, 1], true);
        let mut product = |of: TensorId, rows: u64| {
            let matrix = graph.external();
            graph.computed([rows, used, tokens, 1], &[matrix, of, chosen])
        };
        let (gate, up) = (product(each, rows), product(each, rows));
        let active = graph.computed([rows, used, tokens, 1], &[gate, up]);
        let matrix = graph.external();
        let down = graph.computed([embedding, used, tokens, 1], &[matrix, active, chosen]);
        let weighted = graph.in_place([embedding, used, tokens, 1], &[down, weights]);
        graph.expand(weighted);
        let dims = [embedding, tokens, 1, 1];
        let parts: Vec<TensorId> = (0..used).map(|_| graph.view(weighted, dims, false)).collect();
        for part in &parts {
            graph.expand(*part);
        }
        let mut parts = parts.into_iter();
        let first = parts.next().unwrap_or(weighted);
        let sum = parts.fold(first, |sum, part| {
            let sum = graph.in_place(dims, &[sum, part]);
            graph.expand(sum);
            sum
        });
        // One expert alone is copied out of its view.
        if used == 1 { graph.computed(dims, &[sum]) } else { sum }
    }

    /// The weights of the chosen experts, and which they are.
    fn chosen(&mut self, layer: usize, logits: TensorId) -> (TensorId, TensorId) {
        let decoder = self.decoder;
        let ExpertChoice { used, groups, divides, scales, .. } = decoder.experts;
        let graph = &mut self.graph;
        let dims = graph.dims(logits);
        let [experts, tokens, ..] = dims;
        let mut judged = logits;
        if decoder.has_bias(layer, "exp_probs_b") {
            judged = graph.in_place(dims, &[judged]);
        }
        if groups > 1 {
            judged = best_groups(graph, judged, decoder.experts);
        }
        let sorted = graph.computed(dims, &[judged]);
        let chosen = graph.view(sorted, [used, tokens, 1, 1], false);
        let column = graph.view(logits, [1, experts, tokens, 1], true);
        let mut weights = graph.computed([1, used, tokens, 1], &[column, chosen]);
        if decoder.family.expert_weights == ExpertWeights::Chosen || divides {
            let row = graph.view(weights, [used, tokens, 1, 1], true);
            let row = if divides {
                let sum = graph.computed([1, tokens, 1, 1], &[row]);
                graph.in_place([used, tokens, 1, 1], &[row, sum])
            } else {
                graph.in_place([used, tokens, 1, 1], &[row])
            };
            weights = graph.view(row, [1, used, tokens, 1], true);
        }
        if scales {
            weights = graph.in_place([1, used, tokens, 1], &[weights]);
        }
        (weights, chosen)
    }
}

/// The probabilities in the groups whose best two experts have most; nothing is left of those in the others.
fn best_groups(graph: &mut Graph, judged: TensorId, choice: ExpertChoice) -> TensorId {
    let dims = graph.dims(judged);
    let [experts, tokens, ..] = dims;
    let ExpertChoice { groups, groups_used, .. } = choice;
    let each = experts.checked_div(groups).unwrap_or(0);
    let grouped = graph.view(judged, [each, groups, tokens, 1], true);
    let sorted = graph.computed([each, groups, tokens, 1], &[grouped]);
    let best = graph.view(sorted, [2, groups, tokens, 1], false);
    let column = graph.view(grouped, [1, each, groups, tokens], true);
    let best = graph.computed([1, 2, groups, tokens], &[column, best]);
    let best = graph.view(best, [2, groups, tokens, 1], true);
    let sums = graph.computed([1, groups, tokens, 1], &[best]);
    let sums = graph.view(sums, [groups, tokens, 1, 1], true);
    let sorted = graph.computed([groups, tokens, 1, 1], &[sums]);
    let chosen = graph.view(sorted, [groups_used, tokens, 1, 1], false);
    let nothing = graph.in_place([each, groups, tokens, 1], &[grouped]);
    let kept = graph.computed([each, groups_used, tokens, 1], &[grouped, chosen]);
    let masked = graph.over(nothing, &[kept, chosen]);
    graph.view(masked, dims, true)
}
