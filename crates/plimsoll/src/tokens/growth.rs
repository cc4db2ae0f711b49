//! Which sequence, and what became of its growth.

/// Which sequence, and which of those that ever had its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SequenceId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl SequenceId {
    /// A number that no other sequence of the budget has.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.generation
    }
}

/// What became of a growth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "nothing has grown where bytes are lacking"]
pub enum Growth<T = ()> {
    /// It has grown.
    Done(T),
    /// Nothing was changed: what is [reserved](super::TokenBudget::set_reserved_bytes) does not reach.
    Lacks {
        /// What to reserve, in bytes: some tokens more than are needed now, so that not every token asks.
        bytes: u64,
        /// What is needed now, in bytes.
        least_bytes: u64,
    },
}
