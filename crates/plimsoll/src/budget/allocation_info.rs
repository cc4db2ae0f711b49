//! What there is to know about a live allocation.

use std::{borrow::Cow, time::Duration};

use super::record::Origin;

/// One line of the list of live allocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllocationInfo {
    /// Its number, by which recordings know it; the highest there is for what another copy of this crate holds.
    pub id: u64,
    /// The label it was taken under.
    pub label: Cow<'static, str>,
    /// Its size, in bytes.
    pub bytes: u64,
    /// How much of it has really been taken, as its holder said, in bytes; `None` when it never did.
    pub committed_bytes: Option<u64>,
    /// The time since it was granted.
    pub age: Duration,
    /// Where it came from, if it was granted while a [`Recording`](super::Recording) ran and one has run ever since.
    pub origin: Option<Origin>,
}
