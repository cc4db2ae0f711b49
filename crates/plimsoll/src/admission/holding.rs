//! What the queue knows of a grant that is held: what of it can go, and whom to ask.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use super::{
    make_room::{MakeRoom, MakeRoomKind, OnMakeRoom},
    options::{AcquireOptions, nanoseconds},
    policy::Holder,
};

/// A grant as the queue knows it. Its figures are read without a lock; each is right by itself.
pub(super) struct Holding {
    pub(super) id: u64,
    priority: i32,
    idle_ns: u64,
    pub(super) within_ns: u64,
    on_evict: Option<OnMakeRoom>,
    on_revoke: Option<OnMakeRoom>,
    /// What was granted and has not been released, without the stretch.
    floor_bytes: AtomicU64,
    stretch_bytes: AtomicU64,
    used_at_ns: AtomicU64,
}

impl fmt::Debug for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holding").field("id", &self.id).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

impl Holding {
    pub(super) fn new(id: u64, bytes: u64, options: &AcquireOptions, now_ns: u64) -> Self {
        let unless_pinned = |callback: &Option<OnMakeRoom>| callback.clone().filter(|_| !options.pinned);
        Self {
            id,
            priority: options.priority,
            idle_ns: nanoseconds(options.idle),
            within_ns: nanoseconds(options.evict_within),
            on_evict: unless_pinned(&options.on_evict),
            on_revoke: options.on_revoke.clone(),
            floor_bytes: AtomicU64::new(bytes),
            stretch_bytes: AtomicU64::new(0),
            used_at_ns: AtomicU64::new(now_ns),
        }
    }

    pub(super) fn is_elastic(&self) -> bool {
        self.on_revoke.is_some()
    }

    /// Whether its holder has said how it makes room.
    pub(super) fn can_be_asked(&self) -> bool {
        self.on_evict.is_some() || self.on_revoke.is_some()
    }

    pub(super) fn floor_bytes(&self) -> u64 {
        self.floor_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn stretch_bytes(&self) -> u64 {
        self.stretch_bytes.load(Ordering::Relaxed)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.floor_bytes().saturating_add(self.stretch_bytes())
    }

    pub(super) fn priority(&self) -> i32 {
        self.priority
    }

    pub(super) fn used_at_ns(&self) -> u64 {
        self.used_at_ns.load(Ordering::Relaxed)
    }

    /// All of it that could go, in bytes.
    pub(super) fn revocable_bytes(&self) -> u64 {
        if self.on_evict.is_some() { self.bytes() } else { self.stretch_bytes() }
    }

    pub(super) fn touch(&self, now_ns: u64) {
        self.used_at_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Takes bytes off the floor, no more than it has; returns how many.
    pub(super) fn lower_floor(&self, bytes: u64) -> u64 {
        let less = |floor: u64| Some(floor.saturating_sub(bytes));
        let before = self.floor_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        before.unwrap_or(0).min(bytes)
    }

    pub(super) fn set_stretch(&self, bytes: u64) {
        self.stretch_bytes.store(bytes, Ordering::Relaxed);
    }

    /// What the policy is told of it, where so much is lacking: its stretch where that suffices or is all that can go, else the
    /// whole of it.
    pub(super) fn as_holder(&self, lacking_bytes: u64, now_ns: u64) -> Holder {
        let idle_ns = now_ns.saturating_sub(self.used_at_ns.load(Ordering::Relaxed));
        let stretch_bytes = if self.is_elastic() { self.stretch_bytes() } else { 0 };
        let goes_whole = self.on_evict.is_some() && stretch_bytes < lacking_bytes;
        Holder {
            id: self.id,
            priority: self.priority,
            idle_ms: idle_ns / 1_000_000,
            is_idle: idle_ns >= self.idle_ns,
            bytes: if goes_whole { self.bytes() } else { stretch_bytes },
            is_divisible: !goes_whole,
        }
    }

    /// Asks its holder for so many bytes.
    pub(super) fn ask(&self, bytes: u64, is_whole: bool, wanted_by: &str) {
        let kind = if is_whole { MakeRoomKind::Evict } else { MakeRoomKind::Revoke };
        let callback = if is_whole { &self.on_evict } else { &self.on_revoke };
        if let Some(callback) = callback {
            let within = Duration::from_nanos(self.within_ns);
            callback(&MakeRoom { kind, bytes, within, wanted_by: wanted_by.to_owned() });
        }
    }
}
