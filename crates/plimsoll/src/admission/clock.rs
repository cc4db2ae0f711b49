//! The clock of the queue: one that every process of a machine reads alike, and that goes on while it sleeps.

/// Nanoseconds since the machine was started.
#[cfg(not(loom))]
pub(super) fn now_ns() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// The models have no time.
#[cfg(loom)]
pub(super) const fn now_ns() -> u64 {
    0
}
