//! What every back end must hold to, and what stands in for machines, kernels and back ends that fail.
//!
//! A test of a back end is one call: `suite::holds(&backend)`.

// Each test takes what it needs; it fails as they do.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod checks;
pub mod fake_kernel;
pub mod faults;
pub mod faulty;
pub mod fixture;

pub use checks::{holds, refuses_beyond_headroom};
