//! A replay: graphs that are built and packed.

use super::{
    build::{Batch, graph},
    decoder::Decoder,
    packing::pack,
    repeats::{BlockShapes, Shortened},
};

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

    /// What the compute buffer takes for a batch.
    pub(in crate::estimate) fn compute_bytes(&self, batch: Batch) -> u64 {
        if let Some(shortened) = &self.shortened {
            let packed = pack(&graph(&self.decoder, &shortened.layers, batch));
            if shortened.is_proven(&packed.moments) {
                // What tests run looks at the proof itself.
                debug_assert_eq!(packed.peak_bytes, self.whole_bytes(batch));
                return packed.peak_bytes;
            }
        }
        self.whole_bytes(batch)
    }

    /// The same through every layer.
    fn whole_bytes(&self, batch: Batch) -> u64 {
        let layers: Vec<usize> = (0..self.decoder.model.layers).collect();
        pack(&graph(&self.decoder, &layers, batch)).peak_bytes
    }
}
