//! Whether the hyperparameters are those of the tensors.
//!
//! Source: `check_tensor_dims` in `llama-model-loader.cpp`, which refuses a tensor of another shape than `load_arch_tensors` of the
//! family (`src/models/*.cpp`) makes of the hyperparameters. A file that it refuses must have no estimate: what depends on the wrong key
//! would be wrong by as much. What it does not look at is not looked at here, and of families that are not known nothing is.

mod attention;
mod check;
mod experts;
mod found;
mod state;

pub(super) use check::check;
