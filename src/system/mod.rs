//! What this machine is, and what its kernel says of its memory.

mod boards;
mod machine;
mod processes;

pub use boards::ProcessMemory;
pub use machine::{DarkMemory, MachineMemory, Pressure, Zram, root_of};
