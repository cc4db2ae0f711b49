//! The CUDA back end, over a driver without a GPU; what any GPU must do, also over a real one.
//!
//! `PLIMSOLL_CUDA_REAL=1 cargo test -p plimsoll --test cuda` takes this machine's driver for the tests in `device`.

// A test fails by panicking; opening a library, forking and asking a fake are unsafe calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, unsafe_code)]

mod device;
mod failures;
mod fake;
mod fork;
mod nvml;
mod opening;
mod orin;
#[path = "../suite/mod.rs"]
mod suite;
