//! What happened to a pool, event by event, to be run again elsewhere.

use std::{fmt::Write, time::Instant};

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

names!(TraceKind {
    Present => "present",
    Allocate => "allocate",
    Free => "free",
    Refuse => "refuse",
    Move => "move",
});

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

/// The events as JSON, a line each, for as long as all lines together take at most `most_bytes`; and how many events that are.
#[must_use]
pub fn trace_lines(events: &[TraceEvent], most_bytes: usize) -> (String, usize) {
    let mut lines = String::new();
    for (count, event) in events.iter().enumerate() {
        let end = lines.len();
        write_line(&mut lines, event);
        if lines.len() > most_bytes {
            lines.truncate(end);
            return (lines, count);
        }
    }
    (lines, events.len())
}

/// An event as a line of JSON. Buffers are named by text: their numbers may be larger than JavaScript's hold exactly.
fn write_line(lines: &mut String, event: &TraceEvent) {
    let TraceEvent { kind, at_us, buffer, bytes, align_bytes, placement } = *event;
    let name = kind.name();
    // Writing to a string does not fail.
    let _ = write!(lines, r#"{{"event":"{name}","atUs":{at_us}"#);
    if kind != TraceKind::Refuse {
        let _ = write!(lines, r#","buffer":"{buffer}""#);
    }
    let _ = write!(lines, r#","bytes":{bytes}"#);
    if matches!(kind, TraceKind::Allocate | TraceKind::Refuse) {
        let placement = if placement == Placement::Transient { "transient" } else { "long" };
        let _ = write!(lines, r#","alignBytes":{align_bytes},"placement":"{placement}""#);
    }
    lines.push_str("}\n");
}

#[cfg(test)]
mod tests {
    use super::{BufferOptions, Trace, TraceKind, trace_lines};

    fn events() -> Vec<super::TraceEvent> {
        let mut trace = Trace::new(3, vec![(1, 4096)]);
        trace.note(TraceKind::Free, 1, 4096, &BufferOptions::default());
        trace.note(TraceKind::Free, 2, 4096, &BufferOptions::default());
        trace.into_events().0
    }

    #[test]
    fn lines_end_before_the_one_that_would_pass_the_bound() {
        let events = events();
        let (all, count) = trace_lines(&events, usize::MAX);
        assert_eq!((count, all.lines().count()), (3, 3));
        for most_bytes in 0..=all.len() {
            let (lines, count) = trace_lines(&events, most_bytes);
            assert!(lines.len() <= most_bytes);
            assert!(all.starts_with(&lines), "whole lines from the first on");
            assert_eq!(count, lines.lines().count());
            assert_eq!(
                count,
                all.match_indices('\n').filter(|(end, _)| *end < most_bytes).count(),
                "as many as fit"
            );
        }
    }
}
