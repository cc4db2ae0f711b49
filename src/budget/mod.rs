//! Budgets and headroom.

mod headroom;
mod memory_budget;
mod refused;

pub use headroom::{Headroom, HeadroomTerm};
pub use memory_budget::{Guards, NativeBudget};
