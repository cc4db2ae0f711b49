//! The compute buffer to the byte: the graph of a micro-batch as llama.cpp builds it, packed as ggml packs it.
//!
//! `family.rs` says how the graphs of model families differ; `decoder.rs` has the way through all layers, and the other files
//! the parts of one. `graph.rs` and `packing.rs` know of no model.
//!
//! Source: `src/llama-graph.cpp` and the graphs of the families in `src/models/`. What works in place on a tensor that nobody
//! else reads (biases, scales, activations, the weights of norms) takes no memory and is left out.

mod attention;
mod build;
mod decoder;
mod experts;
mod family;
mod feed_forward;
mod graph;
mod hyperparameters;
mod latent;
mod packing;
mod recurrent;
mod repeats;
mod run;

pub(super) use build::Batch;
pub(super) use decoder::Decoder;
pub(super) use repeats::BlockShapes;
pub(super) use run::Replay;
