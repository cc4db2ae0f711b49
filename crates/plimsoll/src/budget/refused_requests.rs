//! The requests that a budget refused in the end: how many, and the latest with what there was.

use std::{collections::VecDeque, time::SystemTime};

/// The latest requests that are kept.
pub const MAX_REFUSED_REQUESTS: usize = 50;

/// As much of a text is kept, in bytes: labels come from strangers.
const MAX_TEXT_BYTES: usize = 512;

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalCode {
    /// There was not as much.
    InsufficientMemory,
    /// There will never be as much.
    NeverFits,
    /// Its turn did not come in time.
    Timeout,
    /// As many waited already as may.
    Busy,
}

names!(RefusalCode {
    InsufficientMemory => "ERR_INSUFFICIENT_MEMORY",
    NeverFits => "ERR_NEVER_FITS",
    Timeout => "ERR_TIMEOUT",
    Busy => "ERR_BUSY",
});

/// A request that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequest {
    /// When it was.
    pub at: SystemTime,
    /// Why, by the code of its error.
    pub code: RefusalCode,
    /// What it was for.
    pub label: String,
    /// What was asked for, in bytes.
    pub requested_bytes: u64,
    /// What there was, in bytes.
    pub available_bytes: u64,
    /// What left no more, in words.
    pub binding_constraint: String,
    /// What to do about it.
    pub suggestion: String,
}

impl RefusedRequest {
    fn bounded(mut self) -> Self {
        for text in [&mut self.label, &mut self.binding_constraint, &mut self.suggestion] {
            text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
            text.shrink_to_fit();
        }
        self
    }
}

/// How many requests were refused for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusalCount {
    /// Why, by the code of their errors.
    pub code: RefusalCode,
    /// How many.
    pub count: u64,
}

/// What a budget has refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedRequests {
    /// How many requests in all, one count for every reason there is.
    pub counts: Vec<RefusalCount>,
    /// The latest of them, at most [`MAX_REFUSED_REQUESTS`], the last one first.
    pub latest: Vec<RefusedRequest>,
}

/// Counts them, and keeps the latest.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    counts: [u64; RefusalCode::ALL.len()],
    latest: VecDeque<RefusedRequest>,
}

impl RefusalLog {
    pub(super) fn add(&mut self, request: RefusedRequest) {
        if let Some(count) = self.counts.get_mut(request.code as usize) {
            *count += 1;
        }
        self.latest.truncate(MAX_REFUSED_REQUESTS - 1);
        self.latest.push_front(request.bounded());
    }

    pub(super) fn read(&self) -> RefusedRequests {
        let counts = RefusalCode::ALL.iter().zip(self.counts);
        RefusedRequests {
            counts: counts.map(|(code, count)| RefusalCount { code: *code, count }).collect(),
            latest: self.latest.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::*;
    use crate::MemoryBudget;

    fn request(code: RefusalCode, label: String) -> RefusedRequest {
        RefusedRequest {
            at: SystemTime::UNIX_EPOCH,
            code,
            label,
            requested_bytes: 2,
            available_bytes: 1,
            binding_constraint: "the line".to_owned(),
            suggestion: "Ask for less".to_owned(),
        }
    }

    #[test]
    fn all_are_counted_by_their_reason_and_the_latest_are_kept() {
        let mut log = RefusalLog::default();
        for (number, code) in RefusalCode::ALL.iter().cycle().take(202).enumerate() {
            log.add(request(*code, number.to_string()));
        }
        let RefusedRequests { counts, latest } = log.read();
        let counted: Vec<_> =
            counts.iter().map(|RefusalCount { code, count }| (code.name(), *count)).collect();
        assert_eq!(
            counted,
            [("ERR_INSUFFICIENT_MEMORY", 51), ("ERR_NEVER_FITS", 51), ("ERR_TIMEOUT", 50), ("ERR_BUSY", 50)]
        );
        let labels: Vec<_> = latest.iter().map(|request| request.label.clone()).collect();
        assert_eq!(labels, (152..202).rev().map(|number| number.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_text_of_any_length_is_kept_in_a_bounded_space() {
        let mut log = RefusalLog::default();
        log.add(request(RefusalCode::Busy, "ü".repeat(1 << 20)));
        let read = log.read();
        assert_eq!(read.latest.first().map(|request| request.label.as_str()), Some("ü".repeat(256).as_str()));
    }

    #[test]
    fn budgets_that_share_what_is_allocated_share_what_was_refused() {
        let budget = MemoryBudget::for_board(crate::system::board("orin-nano-8gb").unwrap());
        let clone = budget.clone();
        assert!(budget.allocate(1 << 50, "too much").is_err());
        assert_eq!(clone.refused_requests().latest, [], "an allocation may be got by");
        budget.note_refused(request(RefusalCode::InsufficientMemory, "too much".to_owned()));
        assert_eq!(clone.refused_requests().latest.len(), 1);
    }
}
