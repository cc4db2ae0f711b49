//! What is asked for, and how it waits.

use std::{borrow::Cow, fmt, time::Duration};

use super::make_room::OnMakeRoom;

/// How many wait at most in a queue, unless its user says otherwise.
pub const MAX_WAITING: usize = 512;

/// A part of what is acquired together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRequest {
    /// How much, in bytes.
    pub bytes: u64,
    /// What it is for, as lists and errors will call it.
    pub label: Cow<'static, str>,
}

impl GrantRequest {
    /// So many bytes under that label.
    pub fn new(bytes: u64, label: impl Into<Cow<'static, str>>) -> Self {
        Self { bytes, label: label.into() }
    }
}

/// How a request waits, and what may become of its grant.
#[derive(Clone)]
pub struct AcquireOptions {
    /// A higher one goes first, and may have lower ones evicted. 0 by default.
    pub priority: i32,
    /// What is loaded: of one key one load at a time. The next of the same key waits until the grant says that it is
    /// [ready](super::Grant::ready) or is released, and keeps nobody else from going on.
    pub key: Option<String>,
    /// How long it waits at most; without end by default.
    pub timeout: Option<Duration>,
    /// How long others may pass it while it is the first. From then on what becomes free is kept for it. 2 s by default.
    pub age: Duration,
    /// Whether the grant is never asked to make room. It may be by default, if it has said how.
    pub pinned: bool,
    /// How long a grant must not have been [used](super::Grant::touch) to count as idle. 1 s by default.
    pub idle: Duration,
    /// How long its holder may take to make room. 5 s by default.
    pub evict_within: Duration,
    /// Is asked to release the whole grant; without it the grant is not evicted.
    pub on_evict: Option<OnMakeRoom>,
    /// Is asked to give back a part of the stretch; without it the grant cannot be stretched.
    pub on_revoke: Option<OnMakeRoom>,
    /// How many may wait at most; more are refused at once. [`MAX_WAITING`] by default.
    pub max_waiting: usize,
}

impl Default for AcquireOptions {
    fn default() -> Self {
        Self {
            priority: 0,
            key: None,
            timeout: None,
            age: Duration::from_secs(2),
            pinned: false,
            idle: Duration::from_secs(1),
            evict_within: Duration::from_secs(5),
            on_evict: None,
            on_revoke: None,
            max_waiting: MAX_WAITING,
        }
    }
}

impl fmt::Debug for AcquireOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcquireOptions")
            .field("priority", &self.priority)
            .field("key", &self.key)
            .field("timeout", &self.timeout)
            .field("age", &self.age)
            .field("pinned", &self.pinned)
            .field("evictable", &self.on_evict.is_some())
            .field("elastic", &self.on_revoke.is_some())
            .finish_non_exhaustive()
    }
}

/// Nanoseconds, as the queue counts them.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
