//! Estimates, and the search for the best configuration.

mod fit;
mod model_memory;
mod options;
mod shape;
mod verify;
