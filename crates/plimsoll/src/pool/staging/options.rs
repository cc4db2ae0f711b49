//! What a pool is to be like, and what it tells.

use crate::{budget::MemoryBudget, units::MIB};

/// How a [`StagingPool`](super::StagingPool) behaves.
#[derive(Debug, Clone)]
pub struct StagingPoolOptions {
    /// Bytes kept idle for reuse at most; a buffer that would pass the cap goes back to the system. 16 MiB by
    /// default.
    pub max_held_bytes: u64,
    /// Whether a reused buffer is zeroed before it is handed out. A new one always reads zero. `false` by
    /// default: the loader overwrites what it takes.
    pub zeroed: bool,
    /// The budget that every buffer, idle or in use, counts against. None by default.
    pub budget: Option<MemoryBudget>,
}

impl Default for StagingPoolOptions {
    fn default() -> Self {
        Self { max_held_bytes: 16 * MIB, zeroed: false, budget: None }
    }
}

/// What a [`StagingPool`](super::StagingPool) has done and holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StagingPoolStats {
    /// Requests served by an idle buffer.
    pub hits: u64,
    /// Requests that took new memory.
    pub misses: u64,
    /// Bytes held idle for reuse.
    pub held_bytes: u64,
    /// Buffers held idle.
    pub held_count: u64,
    /// Bytes in the hands of users.
    pub in_use_bytes: u64,
    /// Buffers in the hands of users.
    pub in_use_count: u64,
    /// The most bytes, idle and in use, there ever were at once.
    pub peak_bytes: u64,
}
