//! Budgets and headroom.

mod headroom;
mod memory_budget;

pub use headroom::{Headroom, HeadroomTerm};
pub use memory_budget::{Guards, NativeBudget};
