//! A replay: graphs that are built and packed.

use super::{
    build::{Batch, graph},
    decoder::Decoder,
    packing::pack,
    repeats::{BlockShapes, Shortened},
};
use crate::estimate::llama_version::LlamaCppVersion;

/// A model whose graphs are to be replayed.
pub(in crate::estimate) struct Replay<'a> {
    decoder: Decoder<'a>,
    shortened: Option<Shortened>,
}

impl<'a> Replay<'a> {
    pub(in crate::estimate) fn new(decoder: Decoder<'a>, shapes: &BlockShapes) -> Self {
        let shortened = Shortened::of(shapes, &decoder);
        Self { decoder, shortened }
    }

    /// What the compute buffer takes for a batch, in each of these versions.
    pub(in crate::estimate) fn compute_bytes(&self, batch: Batch, versions: &[LlamaCppVersion]) -> Vec<u64> {
        let short = self
            .shortened
            .as_ref()
            .map(|shortened| (shortened, graph(&self.decoder, &shortened.layers, batch)));
        // Made where a version's needs it.
        let mut whole = None;
        let of_version = |version: &LlamaCppVersion| {
            let proven = short.as_ref().and_then(|(shortened, graph)| {
                let packed = pack(graph, *version);
                shortened.is_proven(&packed.moments).then_some(packed.peak_bytes)
            });
            // What tests run looks at the proof itself.
            if let Some(peak_bytes) = proven.filter(|_| !cfg!(debug_assertions)) {
                return peak_bytes;
            }
            let whole = whole.get_or_insert_with(|| graph(&self.decoder, &self.all_layers(), batch));
            let peak_bytes = pack(whole, *version).peak_bytes;
            debug_assert!(proven.is_none_or(|proven| proven == peak_bytes));
            peak_bytes
        };
        versions.iter().map(of_version).collect()
    }

    fn all_layers(&self) -> Vec<usize> {
        (0..self.decoder.model.layers).collect()
    }
}
