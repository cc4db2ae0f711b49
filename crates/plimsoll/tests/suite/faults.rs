//! Which call fails.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A plan of failures that everything under test steps through, one step a call. Its clones count together.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Plan>);

#[derive(Debug, Default)]
struct Plan {
    when: When,
    calls: AtomicU64,
    failures: AtomicU64,
}

#[derive(Debug, Clone, Copy, Default)]
enum When {
    #[default]
    Never,
    /// The call of this number, from 0 on.
    Once(u64),
    /// Every call from this number on: the device is lost.
    From(u64),
    /// About one call in so many, as the seed will have it.
    Often { one_in: u64, seed: u64 },
}

impl Faults {
    pub fn never() -> Self {
        Self::default()
    }

    pub fn once(call: u64) -> Self {
        Self::when(When::Once(call))
    }

    pub fn from(call: u64) -> Self {
        Self::when(When::From(call))
    }

    pub fn often(one_in: u64, seed: u64) -> Self {
        Self::when(When::Often { one_in, seed })
    }

    fn when(when: When) -> Self {
        Self(Arc::new(Plan { when, ..Plan::default() }))
    }

    /// One call. If it is to fail, a number by which the kind of the failure may be chosen.
    pub fn step(&self) -> Result<(), u64> {
        let call = self.0.calls.fetch_add(1, Ordering::Relaxed);
        let fails = match self.0.when {
            When::Never => false,
            When::Once(nth) => call == nth,
            When::From(first) => call >= first,
            When::Often { one_in, seed } => mixed(seed ^ mixed(call)).is_multiple_of(one_in),
        };
        if !fails {
            return Ok(());
        }
        Err(mixed(call ^ (self.0.failures.fetch_add(1, Ordering::Relaxed) << 32)))
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.0.calls.load(Ordering::Relaxed)
    }

    /// Calls that failed.
    pub fn failures(&self) -> u64 {
        self.0.failures.load(Ordering::Relaxed)
    }
}

/// A number that looks random, for each number another (the finalizer of splitmix64).
pub fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
