//! How many tokens may be kept, and how many are.

use std::sync::{Arc, Mutex, MutexGuard};

use super::{
    cost::TokenCost,
    growth::{Growth, SequenceId},
    prune::{PruneCandidate, PrunePolicy},
    state::{SequenceEntry, TokenLimits, TokenState},
};
use crate::{
    admission::Grant,
    error::{Error, Result},
    estimate::ComputeDevice,
    sync::lock,
};

/// What is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUsage {
    /// Tokens of all sequences, those that are shared counted once.
    pub tokens: u64,
    /// The most that there ever were.
    pub peak_tokens: u64,
    /// Sequences that have a token.
    pub sequences: u64,
    /// What they cost, in bytes.
    pub bytes: u64,
    /// Of these on the processor.
    pub cpu_bytes: u64,
    /// Of these on the GPU.
    pub gpu_bytes: u64,
    /// What is reserved for them; `None` where that is not counted.
    pub reserved_bytes: Option<u64>,
    /// Tokens that could be added to a sequence now, by the limits and what is reserved; `None` where nothing limits them.
    pub free_tokens: Option<u64>,
}

/// A sequence as the budget sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceInfo {
    /// Which it is.
    pub id: SequenceId,
    /// What its owner calls it.
    pub label: String,
    /// Its tokens, those that it shares among them.
    pub tokens: u64,
    /// Tokens that no other sequence has: what its end frees.
    pub own_tokens: u64,
    /// What it is worth.
    pub score: f64,
}

#[derive(Debug)]
struct TokenInner {
    cost: TokenCost,
    state: Mutex<TokenState>,
}

/// Counts the tokens of sequences, and refuses growth beyond its limits. Clones are the same budget; all methods may be called
/// from any thread.
///
/// ```
/// use plimsoll::tokens::{Growth, TokenBudget, TokenCost, TokenLimits};
///
/// let limits = TokenLimits { max_cache_tokens: Some(100), ..TokenLimits::default() };
/// let budget = TokenBudget::new(TokenCost::of_token(1024)?, limits);
/// let chat = budget.open("chat");
/// assert_eq!(chat.extend(60)?, Growth::Done(()));
/// let Growth::Done(branch) = chat.fork("branch")? else { unreachable!("nothing is reserved, so nothing lacks") };
/// assert_eq!(branch.extend(30)?, Growth::Done(()));
/// assert_eq!(budget.usage().tokens, 90, "the 60 that they share count once");
/// assert!(chat.extend(11).is_err());
/// # Ok::<(), plimsoll::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct TokenBudget(Arc<TokenInner>);

impl TokenBudget {
    /// A budget of tokens that cost that much.
    #[must_use]
    pub fn new(cost: TokenCost, limits: TokenLimits) -> Self {
        Self(Arc::new(TokenInner { cost, state: Mutex::new(TokenState { limits, ..TokenState::default() }) }))
    }

    fn state(&self) -> MutexGuard<'_, TokenState> {
        lock(&self.0.state)
    }

    /// What its tokens cost.
    #[must_use]
    pub fn cost(&self) -> &TokenCost {
        &self.0.cost
    }

    /// What they must stay within.
    #[must_use]
    pub fn limits(&self) -> TokenLimits {
        self.state().limits
    }

    /// Sets what they must stay within. Below what is in use nothing goes, but nothing grows.
    pub fn set_limits(&self, limits: TokenLimits) {
        self.state().limits = limits;
    }

    /// Says how many bytes are there for them. Below what is in use nothing goes, but nothing grows. Not counted until it is said.
    pub fn set_reserved_bytes(&self, bytes: u64) {
        self.state().reserved_bytes = Some(bytes);
    }

    /// Stretches an elastic grant, by `least_bytes` where `bytes` are not to be had. All that the grant has is for these tokens.
    ///
    /// # Errors
    ///
    /// As [`Grant::stretch`].
    pub fn reserve_from(&self, grant: &Grant, bytes: u64, least_bytes: u64) -> Result<()> {
        let mut state = self.state();
        if grant.stretch(bytes).is_err() {
            grant.stretch(least_bytes)?;
        }
        state.reserved_bytes = Some(grant.bytes());
        Ok(())
    }

    /// Gives back to a grant what it has stretched by, no token needs and is wanted. Returns how many bytes.
    #[allow(clippy::must_use_candidate)] // It is done whether or not anybody looks.
    pub fn release_spare(&self, grant: &Grant, wanted_bytes: u64) -> u64 {
        let mut state = self.state();
        let spare = grant.bytes().saturating_sub(state.bytes(&self.0.cost));
        let released = grant.shrink(spare.min(wanted_bytes));
        state.reserved_bytes = Some(grant.bytes());
        released
    }

    /// What is in use.
    #[must_use]
    pub fn usage(&self) -> TokenUsage {
        let state = self.state();
        let cost = &self.0.cost;
        let tokens = state.tree.tokens();
        let on = |device| cost.device_bytes(device, tokens, state.sequences);
        TokenUsage {
            tokens,
            peak_tokens: state.peak_tokens,
            sequences: state.sequences,
            bytes: state.bytes(cost),
            cpu_bytes: on(ComputeDevice::Cpu),
            gpu_bytes: on(ComputeDevice::Gpu),
            reserved_bytes: state.reserved_bytes,
            free_tokens: state.free_tokens(cost),
        }
    }

    /// What the tokens in use cost in each layer, in bytes.
    #[must_use]
    pub fn layer_bytes(&self) -> Vec<u64> {
        let state = self.state();
        let (tokens, sequences) = (state.tree.tokens(), state.sequences);
        self.0.cost.layers().iter().map(|layer| layer.bytes(tokens, sequences)).collect()
    }

    /// The sequences that are open and were not pruned, in the order of their places.
    #[must_use]
    pub fn sequences(&self) -> Vec<SequenceInfo> {
        let state = self.state();
        let live = state.entries.iter().filter(|(_, entry)| !entry.is_pruned);
        let info = |(index, entry): (usize, &SequenceEntry)| SequenceInfo {
            id: entry.id(index),
            label: entry.label.clone(),
            tokens: entry.tokens,
            own_tokens: state.tree.own_tokens(entry.leaf),
            score: entry.score,
        };
        live.map(info).collect()
    }

    /// Whether so many tokens more would fit a sequence if all others had gone, by the limits and, where that is reserved, `bytes` in
    /// all. Where not, nobody need be pruned for it.
    #[must_use]
    pub fn could_extend(&self, id: SequenceId, tokens: u64, bytes: u64) -> bool {
        let mut state = self.state();
        let Ok(entry) = state.live(id) else { return false };
        let alone = entry.tokens.saturating_add(tokens);
        let cost = &self.0.cost;
        let is_within = |limit: Option<u64>, needed: u64| limit.is_none_or(|limit| needed <= limit);
        is_within(state.limits.max_cache_tokens, alone)
            && is_within(state.reserved_bytes.map(|_| bytes), cost.bytes(alone, 1))
            && state
                .device_limits()
                .iter()
                .all(|(_, limit, device)| is_within(*limit, cost.device_bytes(*device, alone, 1)))
    }

    /// Who goes first when room is wanted, and not `except`: one whose end frees tokens, or, where there is none, one that has any, as
    /// of forks the last to go frees what all share.
    #[must_use]
    pub fn next_to_prune(&self, policy: PrunePolicy, except: Option<SequenceId>) -> Option<SequenceId> {
        let state = self.state();
        let mut first: Option<(PruneCandidate, SequenceId)> = None;
        for (index, entry) in &state.entries {
            let id = entry.id(index);
            if entry.tokens == 0 || Some(id) == except {
                continue;
            }
            let own_tokens = state.tree.own_tokens(entry.leaf);
            let candidate = PruneCandidate { used: entry.used, score: entry.score, own_tokens };
            if first.as_ref().is_none_or(|(before, _)| policy.goes_before(&candidate, before)) {
                first = Some((candidate, id));
            }
        }
        first.map(|(_, id)| id)
    }

    /// Frees the tokens of a sequence whose owner has it still: that gets [`Error::Released`] from now on. Returns how many were
    /// freed. One that has gone is none.
    #[allow(clippy::must_use_candidate)] // It is done whether or not anybody looks.
    pub fn prune(&self, id: SequenceId) -> u64 {
        let mut state = self.state();
        let before = state.tree.tokens();
        if let Some(entry) = state.entry(id) {
            entry.is_pruned = true;
            let leaf = entry.leaf.take();
            let had_tokens = std::mem::take(&mut entry.tokens) > 0;
            state.tree.release(leaf);
            state.sequences -= u64::from(had_tokens);
        }
        before - state.tree.tokens()
    }

    pub(super) fn insert(&self, label: String) -> SequenceId {
        self.state().insert(label, None, 0)
    }

    pub(super) fn sequence_tokens(&self, id: SequenceId) -> Result<u64> {
        Ok(self.state().live(id)?.tokens)
    }

    pub(super) fn extend(&self, id: SequenceId, tokens: u64) -> Result<Growth> {
        let mut state = self.state();
        let entry = state.live(id)?;
        let (leaf, is_new) = (entry.leaf, entry.tokens == 0 && tokens > 0);
        let lacking = state.lacking(&self.0.cost, tokens, u64::from(is_new), id)?;
        if let Some(lacks) = lacking {
            return Ok(lacks);
        }
        let leaf = state.tree.extend(leaf, tokens);
        state.sequences += u64::from(is_new);
        state.peak_tokens = state.peak_tokens.max(state.tree.tokens());
        let used = state.tick();
        let entry = state.live(id)?;
        entry.leaf = leaf;
        entry.tokens += tokens;
        entry.used = used;
        Ok(Growth::Done(()))
    }

    pub(super) fn fork(&self, id: SequenceId, label: String) -> Result<Growth<SequenceId>> {
        let mut state = self.state();
        let entry = state.live(id)?;
        let (leaf, tokens, score) = (entry.leaf, entry.tokens, entry.score);
        let lacking = state.lacking(&self.0.cost, 0, u64::from(tokens > 0), id)?;
        if let Some(Growth::Lacks { bytes, least_bytes }) = lacking {
            return Ok(Growth::Lacks { bytes, least_bytes });
        }
        let leaf = state.tree.fork(leaf);
        let forked = state.insert(label, leaf, tokens);
        state.live(forked)?.score = score;
        Ok(Growth::Done(forked))
    }

    pub(super) fn truncate(&self, id: SequenceId, tokens: u64) -> Result<()> {
        let mut state = self.state();
        let entry = state.live(id)?;
        let Some(less) = entry.tokens.checked_sub(tokens) else {
            let expected = format!("at most the {} that the sequence has", entry.tokens);
            return Err(Error::invalid_argument("tokens", expected, tokens.to_string()));
        };
        let leaf = entry.leaf;
        let leaf = state.tree.shorten(leaf, less);
        state.sequences -= u64::from(less > 0 && tokens == 0);
        let entry = state.live(id)?;
        entry.leaf = leaf;
        entry.tokens = tokens;
        Ok(())
    }

    pub(super) fn touch(&self, id: SequenceId, score: Option<f64>) -> Result<()> {
        if score.is_some_and(f64::is_nan) {
            return Err(Error::invalid_argument("score", "a number", "NaN"));
        }
        let mut state = self.state();
        state.live(id)?;
        let used = state.tick();
        let entry = state.live(id)?;
        entry.used = used;
        entry.score = score.unwrap_or(entry.score);
        Ok(())
    }

    pub(super) fn free(&self, id: SequenceId) {
        self.prune(id);
        let mut state = self.state();
        if state.entry(id).is_some() {
            state.entries.try_remove(id.index as usize);
        }
    }
}
