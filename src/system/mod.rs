//! What this machine is, and what its kernel says of its memory.

mod back_ends;
mod board;
mod memory;
mod page_cache;
mod process;
mod processes;
mod root;
mod signals;

pub use memory::{DarkMemory, MachineMemory, Pressure, Zram};
pub use process::ProcessMemory;
pub use root::{root_at, root_of};
