//! What this machine is and what it has: measured here, subtracted in [`budget`](crate::budget).

mod boards;
mod machine;
mod process;

pub use boards::{BOARDS, Board, Vendor, board};
pub use machine::{CgroupLimit, Machine};
pub use process::{ProcessMemory, process_memory, process_memory_at};
