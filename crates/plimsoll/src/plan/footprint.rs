//! What a model takes.

use crate::estimate::{TotalBytes, rule_of_thumb_bytes};

/// How it was found what a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FootprintFormula {
    /// By the estimator, from the header of the file.
    Estimate,
    /// The size of the file and half of it.
    RuleOfThumb,
    /// There is no model: the limit alone counts.
    LimitOnly,
}

names!(FootprintFormula {
    Estimate => "estimate",
    RuleOfThumb => "rule-of-thumb",
    LimitOnly => "limit-only",
});

/// What a model takes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Footprint {
    /// How it was found.
    pub formula: FootprintFormula,
    /// While it is loaded.
    pub loading_bytes: u64,
    /// Once it runs, its contexts and caches full.
    pub running_bytes: u64,
}

impl Footprint {
    /// That of an instance without a model.
    pub const NONE: Self = Self { formula: FootprintFormula::LimitOnly, loading_bytes: 0, running_bytes: 0 };

    /// By the rule of thumb, from the size of a file.
    ///
    /// ```
    /// use plimsoll::{plan::Footprint, units::GIB};
    /// assert_eq!(Footprint::of_file(6 * GIB).running_bytes, 9 * GIB);
    /// ```
    #[must_use]
    pub const fn of_file(file_bytes: u64) -> Self {
        let bytes = rule_of_thumb_bytes(file_bytes);
        Self { formula: FootprintFormula::RuleOfThumb, loading_bytes: bytes, running_bytes: bytes }
    }

    /// By an estimate.
    #[must_use]
    pub const fn of_estimate(totals: &TotalBytes) -> Self {
        Self {
            formula: FootprintFormula::Estimate,
            loading_bytes: totals.loading_bytes,
            running_bytes: totals.full_bytes,
        }
    }

    /// What an instance with that limit, or none, requires once it runs: the larger of both.
    #[must_use]
    pub fn required_bytes(&self, limit_bytes: Option<u64>) -> u64 {
        self.running_bytes.max(limit_bytes.unwrap_or(0))
    }

    /// What it takes at most from its start on, while it is loaded and once it runs.
    #[must_use]
    pub fn peak_bytes(&self, limit_bytes: Option<u64>) -> u64 {
        self.required_bytes(limit_bytes).max(self.loading_bytes)
    }
}
