//! Model files, their metadata and their streams.

mod metadata;
mod model;
mod places;
mod remote;
mod stream;
mod target;
mod tensors;

pub use model::NativeModel;
