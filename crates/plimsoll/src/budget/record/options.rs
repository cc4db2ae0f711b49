//! How a recording is made.

/// The most events that a recording keeps.
pub const MAX_CAPACITY: usize = 1 << 20;

/// How a recording is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordOptions {
    /// Events kept; newer ones take the place of older ones. 65,536 by default, at most [`MAX_CAPACITY`]. Each takes
    /// about 90 bytes.
    pub capacity: usize,
    /// How many frames of the caller's stack are wanted with each request. 0 by default, for none. It is a wish that
    /// [`MemoryBudget::stack_depth`](crate::MemoryBudget::stack_depth) passes on: callers tell their stacks themselves.
    pub stack_depth: u32,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { capacity: 65_536, stack_depth: 0 }
    }
}
