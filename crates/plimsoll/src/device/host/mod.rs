//! Ordinary RAM: anonymous maps and memory files, in pages of any size.

mod backend;
mod memory;
mod options;

pub use backend::HostBackend;
pub(super) use backend::memory_file;
pub use options::{HostOptions, HostSource, HugePageUse};
