//! What is new in a recording, for those who read it again and again.

use super::event::{Event, LabelTotals};

/// What a recording holds that its reader has not seen, and the labels with the most.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    /// The events that are kept of those since, oldest first.
    pub events: Vec<Event>,
    /// Events written in all: with the next reading, those that were seen.
    pub event_count: u64,
    /// The labels with the most bytes live, those first.
    pub labels: Vec<LabelTotals>,
    /// How many more labels have bytes live.
    pub other_label_count: usize,
}
