//! Budgets and headroom.

mod headroom;
mod memory_budget;

pub use headroom::Headroom;
pub use memory_budget::{Guards, NativeBudget};
