//! What happened to a pool, event by event, to be run again elsewhere.

use std::time::Instant;

use super::{
    now_us,
    options::{BufferOptions, Placement},
};

/// One event of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceEvent {
    /// What happened.
    pub kind: TraceKind,
    /// Microseconds since the trace began.
    pub at_us: u64,
    /// Which buffer; numbers are used again only after the buffer was freed.
    pub buffer: u64,
    /// Bytes asked for; of the buffer, or of the slab.
    pub bytes: u64,
    /// The alignment asked for, in bytes.
    pub align_bytes: u64,
    /// How it was placed.
    pub placement: Placement,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TraceKind {
    /// A buffer was there before the trace began.
    Present,
    /// A buffer was handed out.
    Allocate,
    /// A buffer was freed.
    Free,
    /// A buffer was refused for want of a hole.
    Refuse,
    /// A buffer was moved by defragmentation.
    Move,
}

impl TraceKind {
    /// The stable name: `"present"`, `"allocate"`, `"free"`, `"refuse"`, `"move"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Allocate => "allocate",
            Self::Free => "free",
            Self::Refuse => "refuse",
            Self::Move => "move",
        }
    }
}

#[derive(Debug)]
pub(super) struct Trace {
    began: Instant,
    capacity: usize,
    events: Vec<TraceEvent>,
    dropped_count: u64,
}

impl Trace {
    /// A trace that begins with the buffers that are there: number and bytes of each.
    pub(super) fn new(capacity: usize, present: Vec<(u64, u64)>) -> Self {
        let mut trace = Self { began: Instant::now(), capacity, events: Vec::new(), dropped_count: 0 };
        for (buffer, bytes) in present {
            trace.note(TraceKind::Present, buffer, bytes, &BufferOptions::default());
        }
        trace
    }

    pub(super) fn note(&mut self, kind: TraceKind, buffer: u64, bytes: u64, options: &BufferOptions) {
        if self.events.len() >= self.capacity {
            self.dropped_count += 1;
            return;
        }
        self.events.push(TraceEvent {
            kind,
            at_us: now_us(self.began),
            buffer,
            bytes,
            align_bytes: options.align_bytes,
            placement: options.placement,
        });
    }

    pub(super) fn into_events(self) -> (Vec<TraceEvent>, u64) {
        (self.events, self.dropped_count)
    }
}
