#![doc = include_str!("../README.md")]

// Before the rooms, which use its macro.
#[macro_use]
mod names;

pub mod admission;
#[cfg(not(loom))]
pub mod blackbox;
pub mod budget;
pub mod device;
pub mod error;
pub mod estimate;
#[cfg(not(loom))]
pub mod ledger;
pub mod loader;
pub mod monitor;
pub mod plan;
pub mod pool;
mod size_text;
mod sorting;
#[doc(hidden)] // For the addon.
pub mod sync;
pub mod system;
pub mod tokens;
pub mod units;

pub use budget::{Allocation, MemoryBudget};
pub use error::{Error, Result};
pub use size_text::parse_bytes;
