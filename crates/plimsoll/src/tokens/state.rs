//! The counts behind a budget of tokens, and what is in the way of a growth.

use slab::Slab;

use super::{
    cost::TokenCost,
    growth::{Growth, SequenceId},
    prefix_tree::{Leaf, PrefixTree},
};
use crate::{
    error::{Error, Left, Result},
    estimate::ComputeDevice,
    units::format_bytes,
};

/// So many tokens are reserved at a time, where that many are to be had.
const STEP_TOKENS: u64 = 256;

/// What the tokens must stay within. What is `None` does not limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TokenLimits {
    /// Tokens of all sequences, those that are shared counted once.
    pub max_cache_tokens: Option<u64>,
    /// Bytes on the processor.
    pub max_cpu_bytes: Option<u64>,
    /// Bytes on the GPU.
    pub max_gpu_bytes: Option<u64>,
}

#[derive(Debug)]
pub(super) struct SequenceEntry {
    pub(super) generation: u32,
    pub(super) label: String,
    pub(super) leaf: Leaf,
    pub(super) tokens: u64,
    pub(super) score: f64,
    pub(super) used: u64,
    pub(super) is_pruned: bool,
}

#[derive(Debug, Default)]
pub(super) struct TokenState {
    pub(super) tree: PrefixTree,
    pub(super) entries: Slab<SequenceEntry>,
    /// Sequences that have a token.
    pub(super) sequences: u64,
    pub(super) limits: TokenLimits,
    pub(super) reserved_bytes: Option<u64>,
    pub(super) peak_tokens: u64,
    pub(super) generations: u32,
    /// Counts uses.
    pub(super) clock: u64,
}

impl SequenceEntry {
    pub(super) fn id(&self, index: usize) -> SequenceId {
        SequenceId { index: index as u32, generation: self.generation }
    }
}

impl TokenState {
    pub(super) fn insert(&mut self, label: String, leaf: Leaf, tokens: u64) -> SequenceId {
        self.generations = self.generations.wrapping_add(1);
        self.sequences += u64::from(tokens > 0);
        let (generation, used) = (self.generations, self.tick());
        let entry = SequenceEntry { generation, label, leaf, tokens, score: 0.0, used, is_pruned: false };
        SequenceId { index: self.entries.insert(entry) as u32, generation }
    }

    pub(super) fn entry(&mut self, id: SequenceId) -> Option<&mut SequenceEntry> {
        self.entries.get_mut(id.index as usize).filter(|entry| entry.generation == id.generation)
    }

    pub(super) fn live(&mut self, id: SequenceId) -> Result<&mut SequenceEntry> {
        let live = self.entry(id).filter(|entry| !entry.is_pruned);
        live.ok_or(Error::Released { what: "the sequence of tokens" })
    }

    pub(super) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub(super) fn bytes(&self, cost: &TokenCost) -> u64 {
        cost.bytes(self.tree.tokens(), self.sequences)
    }

    /// Each limit in bytes: its name, what it is, and on which device.
    pub(super) fn device_limits(&self) -> [(&'static str, Option<u64>, ComputeDevice); 2] {
        [
            ("maxCpuBytes", self.limits.max_cpu_bytes, ComputeDevice::Cpu),
            ("maxGpuBytes", self.limits.max_gpu_bytes, ComputeDevice::Gpu),
        ]
    }

    /// What is in the way of so many tokens and sequences more: a limit is an error.
    pub(super) fn lacking(
        &self,
        cost: &TokenCost,
        more: u64,
        sequences: u64,
        id: SequenceId,
    ) -> Result<Option<Growth>> {
        let tokens = self.tree.tokens().saturating_add(more);
        let sequences = self.sequences + sequences;
        let needed_bytes = cost.bytes(tokens, sequences);
        if let Some(max) = self.limits.max_cache_tokens.filter(|max| tokens > *max) {
            let constraint = format!(
                "maxCacheTokens is {max}, of which {} are in use, and {more} more were asked for",
                self.tree.tokens()
            );
            return Err(self.refusal(cost, needed_bytes, id, constraint));
        }
        for (name, limit, device) in self.device_limits() {
            let bytes = cost.device_bytes(device, tokens, sequences);
            if let Some(limit) = limit.filter(|limit| bytes > *limit) {
                let constraint = format!("{name} is {}", format_bytes(limit));
                return Err(self.refusal(cost, needed_bytes, id, constraint));
            }
        }
        Ok(self.reserved_bytes.filter(|reserved| needed_bytes > *reserved).map(|reserved| {
            let step_bytes = cost.bytes(tokens.saturating_add(STEP_TOKENS), sequences);
            Growth::Lacks { bytes: step_bytes - reserved, least_bytes: needed_bytes - reserved }
        }))
    }

    pub(super) fn refusal(
        &self,
        cost: &TokenCost,
        needed_bytes: u64,
        id: SequenceId,
        constraint: String,
    ) -> Error {
        let used_bytes = self.bytes(cost);
        let free_tokens = self.free_tokens(cost).unwrap_or(0);
        let free_bytes =
            cost.bytes(self.tree.tokens().saturating_add(free_tokens), self.sequences) - used_bytes;
        let label = self.entries.get(id.index as usize).map_or_else(String::new, |entry| entry.label.clone());
        let others = self.entries.iter().filter(|(index, _)| *index != id.index as usize);
        let largest = others.max_by_key(|(_, entry)| self.tree.own_tokens(entry.leaf));
        let suggestion = largest.map_or_else(
            || "Shorten the sequence, or raise the limit".to_owned(),
            |(_, entry)| {
                let own_tokens = self.tree.own_tokens(entry.leaf);
                format!("End a sequence, or raise the limit: {:?} alone has {own_tokens} tokens", entry.label)
            },
        );
        let requested_bytes = needed_bytes.saturating_sub(used_bytes);
        Error::insufficient_memory(
            label,
            requested_bytes,
            Left::below(free_bytes, requested_bytes),
            constraint,
            suggestion,
        )
    }

    pub(super) fn free_tokens(&self, cost: &TokenCost) -> Option<u64> {
        let sequences = self.sequences.max(1);
        let within = |bytes: Option<u64>| bytes.map(|bytes| cost.tokens_within(bytes, sequences));
        let on_device = self
            .device_limits()
            .map(|(_, limit, device)| limit.map(|limit| cost.device_tokens_within(device, limit, sequences)));
        let limits = [self.limits.max_cache_tokens, within(self.reserved_bytes)];
        let least = limits.into_iter().chain(on_device).flatten().min()?;
        Some(least.saturating_sub(self.tree.tokens()))
    }
}
