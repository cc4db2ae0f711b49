//! The time, as a number that fits an atomic.

use std::{sync::LazyLock, time::Instant};

/// Nanoseconds since some moment in the life of this process.
pub(super) fn nanoseconds(now: Instant) -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    now.saturating_duration_since(*START).as_nanos() as u64
}
