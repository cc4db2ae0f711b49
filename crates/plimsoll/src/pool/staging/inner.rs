//! What the handles of a pool share.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use super::{
    maps,
    memory::Memory,
    options::{StagingPoolOptions, StagingPoolStats},
};
use crate::{
    budget::EventKind,
    error::{Error, Left, Result},
    sync::lock,
    units::MAX_BYTES,
};

/// The label under which a pool's buffers stand in their budget.
pub(super) const LABEL: &str = "staging pool";

/// The smallest class. Smaller buffers do not pay for a map of their own.
pub(super) const SMALLEST_CLASS_BYTES: u64 = 4096;

#[derive(Debug)]
pub(super) struct StagingInner {
    pub(super) options: StagingPoolOptions,
    pub(super) state: Mutex<StagingState>,
}

#[derive(Debug, Default)]
pub(super) struct StagingState {
    idle: BTreeMap<u64, Vec<Memory>>,
    pub(super) stats: StagingPoolStats,
    pub(super) closed: bool,
}

impl StagingInner {
    pub(super) fn state(&self) -> MutexGuard<'_, StagingState> {
        lock(&self.state)
    }

    pub(super) fn reuse(&self, class_bytes: u64) -> Result<Option<Memory>> {
        let mut state = self.state();
        state.expect_open()?;
        let found = state.idle.get_mut(&class_bytes).and_then(Vec::pop);
        if found.is_some() {
            state.stats.hits += 1;
            state.stats.held_bytes -= class_bytes;
            state.stats.held_count -= 1;
            state.hand_out(class_bytes);
        }
        Ok(found)
    }

    pub(super) fn take_new(&self, class_bytes: u64) -> Result<Memory> {
        let allocation = match &self.options.budget {
            None => None,
            Some(budget) => Some(budget.allocate(class_bytes, LABEL).or_else(|refusal| {
                // Our own idle buffers may be what stands in the way.
                if self.trim(0) == 0 { Err(refusal) } else { budget.allocate(class_bytes, LABEL) }
            })?),
        };
        let map_anew = || maps::take(class_bytes as usize);
        let map = map_anew().or_else(|refusal| if self.trim(0) == 0 { Err(refusal) } else { map_anew() });
        let map = map.map_err(|cause| {
            let refused = format!("the system refused to map memory ({cause})");
            let advice = "Ask for less, or raise the limit on the process's address space";
            Error::insufficient_memory(LABEL, class_bytes, Left::whole(0), refused, advice)
        })?;
        let mut state = self.state();
        state.stats.misses += 1;
        state.hand_out(class_bytes);
        Ok(Memory::new(map, allocation))
    }

    pub(super) fn put_back(&self, memory: Memory) {
        let class_bytes = memory.bytes().len() as u64;
        if let Some(allocation) = &memory.allocation {
            // Its user has filled it; until then what the process grew by speaks for it.
            allocation.commit(class_bytes);
        }
        memory.note(EventKind::Return);
        let mut state = self.state();
        state.stats.in_use_bytes -= class_bytes;
        state.stats.in_use_count -= 1;
        if state.closed || state.stats.held_bytes + class_bytes > self.options.max_held_bytes {
            drop(state); // Freeing pages needs no lock.
            drop(memory);
            return;
        }
        state.stats.held_bytes += class_bytes;
        state.stats.held_count += 1;
        state.idle.entry(class_bytes).or_default().push(memory);
    }

    pub(super) fn forget(&self, class_bytes: u64) {
        let mut state = self.state();
        state.stats.in_use_bytes -= class_bytes;
        state.stats.in_use_count -= 1;
    }

    pub(super) fn trim(&self, keep_bytes: u64) -> u64 {
        let mut freed = Vec::new();
        let mut state = self.state();
        while state.stats.held_bytes > keep_bytes {
            let Some(mut class) = state.idle.last_entry() else { break };
            let (class_bytes, memory) = (*class.key(), class.get_mut().pop());
            let Some(memory) = memory else {
                class.remove();
                continue;
            };
            state.stats.held_bytes -= class_bytes;
            state.stats.held_count -= 1;
            freed.push(memory);
        }
        drop(state);
        freed.iter().map(|memory| memory.bytes().len() as u64).sum()
    }
}

impl StagingState {
    pub(super) fn expect_open(&self) -> Result<()> {
        if self.closed { Err(Error::Released { what: "the staging pool" }) } else { Ok(()) }
    }

    fn hand_out(&mut self, class_bytes: u64) {
        self.stats.in_use_bytes += class_bytes;
        self.stats.in_use_count += 1;
        self.stats.peak_bytes = self.stats.peak_bytes.max(self.stats.in_use_bytes + self.stats.held_bytes);
    }
}

/// Rounds up to a class: quarters of a power of two, whole pages.
pub(super) fn class_bytes(bytes: u64) -> Result<u64> {
    if bytes > MAX_BYTES {
        return Err(Error::invalid_argument("bytes", format!("at most {MAX_BYTES}"), bytes.to_string()));
    }
    let page_bytes = (rustix::param::page_size() as u64).max(SMALLEST_CLASS_BYTES);
    let quarter = (bytes.max(1).next_power_of_two() / 8).max(page_bytes);
    Ok(bytes.max(1).next_multiple_of(quarter))
}
