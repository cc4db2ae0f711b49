//! Model files, their metadata and their streams.

mod metadata;
mod model;
mod stream;
mod tensors;
