//! Budgets and headroom.

mod headroom;
mod memory_budget;

pub use headroom::{Headroom, headroom_options};
pub use memory_budget::NativeBudget;
