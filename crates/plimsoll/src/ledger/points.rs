//! The steps between which a process may be killed or stopped, by name, so that tests can do it there.

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The lock of a free slot is held, and nothing is written.
    Locked,
    /// The share of a new slot is written, and the slot is not yet live.
    Claimed,
    /// What is asked for stands in the slot, and nobody has counted.
    Asked,
    /// All were counted, and there was room.
    Counted,
    /// There was none, and the slot still says what was asked for.
    Crowded,
    /// The memory is released, and the slot still says that it is held.
    Released,
    /// How a dead process's memory drains is written, and its slot is still live.
    Buried,
    /// A dead process's memory is back, and its slot still drains.
    Freed,
    /// The request that waits stands in the slot, without its label.
    Queued,
    /// What could go stands in the slot.
    Offered,
    /// Another process is being asked, and nothing of that is whole.
    Asking,
    /// What this process is asked for was read, and nobody was told of it.
    Heard,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Locked,
        Self::Claimed,
        Self::Asked,
        Self::Counted,
        Self::Crowded,
        Self::Released,
        Self::Buried,
        Self::Freed,
        Self::Queued,
        Self::Offered,
        Self::Asking,
        Self::Heard,
    ];
}

#[cfg(debug_assertions)]
static HOOK: std::sync::OnceLock<fn(Point)> = std::sync::OnceLock::new();

/// Calls that at each step from now on; once a process.
#[cfg(debug_assertions)]
pub fn on_reach(hook: fn(Point)) {
    let _ = HOOK.set(hook);
}

/// A step is reached.
#[inline]
pub(super) fn reach(point: Point) {
    #[cfg(debug_assertions)]
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}
