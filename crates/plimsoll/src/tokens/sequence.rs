//! One sequence of tokens.

use super::{
    growth::{Growth, SequenceId},
    token_budget::TokenBudget,
};
use crate::{admission::Grant, error::Result};

/// A sequence of tokens under a budget. Dropping it frees what no other sequence has. All methods may be called from any thread.
#[derive(Debug)]
#[must_use = "dropping the sequence frees its tokens at once"]
pub struct Sequence {
    budget: TokenBudget,
    id: SequenceId,
}

impl Sequence {
    /// By what the budget knows it.
    #[must_use]
    pub const fn id(&self) -> SequenceId {
        self.id
    }

    /// Its tokens, those that it shares among them.
    ///
    /// # Errors
    ///
    /// [`Error::Released`](crate::Error::Released) after it was pruned, as of all methods here.
    pub fn tokens(&self) -> Result<u64> {
        self.budget.sequence_tokens(self.id)
    }

    /// Adds tokens to its end: all of them, or none.
    ///
    /// # Errors
    ///
    /// [`Error::InsufficientMemory`](crate::Error::InsufficientMemory) where a limit of the budget is in the way.
    pub fn extend(&self, tokens: u64) -> Result<Growth> {
        self.budget.extend(self.id, tokens)
    }

    /// The same, and what is lacking is taken of an elastic grant.
    ///
    /// # Errors
    ///
    /// As [`extend`](Self::extend), and as [`Grant::stretch`].
    pub fn extend_within(&self, tokens: u64, grant: &Grant) -> Result<()> {
        while let Growth::Lacks { bytes, least_bytes } = self.extend(tokens)? {
            self.budget.reserve_from(grant, bytes, least_bytes)?;
        }
        Ok(())
    }

    /// Another sequence that begins with the same tokens, which go on counting once.
    ///
    /// # Errors
    ///
    /// As [`extend`](Self::extend): a sequence more may cost a state, or a window.
    pub fn fork(&self, label: impl Into<String>) -> Result<Growth<Self>> {
        Ok(match self.budget.fork(self.id, label.into())? {
            Growth::Done(id) => Growth::Done(Self { budget: self.budget.clone(), id }),
            Growth::Lacks { bytes, least_bytes } => Growth::Lacks { bytes, least_bytes },
        })
    }

    /// Keeps the first `tokens`; the others are freed where no other sequence has them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) when it has not that many.
    pub fn truncate(&self, tokens: u64) -> Result<()> {
        self.budget.truncate(self.id, tokens)
    }

    /// Notes that it is in use, and what it is worth: one with a lower score is pruned earlier.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a score that is no number.
    pub fn touch(&self, score: Option<f64>) -> Result<()> {
        self.budget.touch(self.id, score)
    }
}

impl TokenBudget {
    /// A sequence without a token, which costs nothing yet.
    pub fn open(&self, label: impl Into<String>) -> Sequence {
        Sequence { budget: self.clone(), id: self.insert(label.into()) }
    }
}

impl Drop for Sequence {
    fn drop(&mut self) {
        self.budget.free(self.id);
    }
}
