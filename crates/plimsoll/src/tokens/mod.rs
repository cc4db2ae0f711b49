//! Tokens of running sequences, and what they cost: a check before each growth.
//!
//! ```text
//!   TokenCost     bytes of so many tokens in so many sequences, by layer, from an estimate
//!        |
//!   TokenBudget   counts; a prefix that sequences share counts once
//!        |          extend: granted, refused, or so many bytes are lacking ---> Grant::stretch
//!        v          next_to_prune: who goes first when room is wanted
//!   Sequence      extend, fork, truncate; dropping it frees what no other has
//! ```
//!
//! Nothing here takes memory for tokens: that is the runtime's own cache, or a pool. What is counted is what may be in it.

mod cost;
mod growth;
mod prefix_tree;
mod prune;
mod sequence;
mod state;
mod token_budget;
mod top_k;

pub use cost::{TokenCost, TokenLayer};
pub use growth::{Growth, SequenceId};
pub use prune::PrunePolicy;
pub use sequence::Sequence;
pub use state::TokenLimits;
pub use token_budget::{SequenceInfo, TokenBudget, TokenUsage};
pub use top_k::top_k;
