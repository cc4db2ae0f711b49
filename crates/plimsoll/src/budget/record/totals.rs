//! What allocations came to, label by label.

use crate::sorting::sort_by;
use std::{collections::HashMap, sync::Arc};

use super::{
    event::{EventKind, LabelTotals},
    text::cut,
};

/// More of a label is not kept: labels that differ later only count as one.
const MAX_LABEL_BYTES: usize = 1024;

/// Labels counted each on its own; those met later count as one.
const MAX_LABELS: usize = 16_384;

/// The label of those that are not counted on their own.
const OTHERS: &str = "(other labels)";

/// The totals of every label.
#[derive(Debug, Clone)]
pub(super) struct Totals {
    by_label: HashMap<Arc<str>, LabelTotals>,
    others: LabelTotals,
}

impl Default for Totals {
    fn default() -> Self {
        Self { by_label: HashMap::new(), others: LabelTotals::new(OTHERS.into()) }
    }
}

impl Totals {
    /// Counts an event and returns its label, to be shared by the events under it.
    pub(super) fn count(&mut self, kind: EventKind, label: &str, bytes: u64) -> Arc<str> {
        let label = cut(label, MAX_LABEL_BYTES);
        if let Some(totals) = self.by_label.get_mut(label) {
            totals.count(kind, bytes);
            return Arc::clone(&totals.label);
        }
        let label = Arc::<str>::from(label);
        if !kind.concerns_allocations() {
            return label;
        }
        if self.by_label.len() < MAX_LABELS {
            let mut totals = LabelTotals::new(Arc::clone(&label));
            totals.count(kind, bytes);
            self.by_label.insert(Arc::clone(&label), totals);
        } else {
            self.others.count(kind, bytes);
        }
        label
    }

    /// Those with the most bytes live, and how many more have any.
    pub(super) fn largest(&self, most: usize) -> (Vec<LabelTotals>, usize) {
        let all = self.by_label.values().chain([&self.others]).filter(|totals| totals.live_count > 0);
        let mut live: Vec<&LabelTotals> = all.collect();
        sort_by(&mut live, |a, b| (b.live_bytes, &a.label).cmp(&(a.live_bytes, &b.label)));
        let others = live.len().saturating_sub(most);
        (live.into_iter().take(most).cloned().collect(), others)
    }

    /// All of them, most granted first.
    pub(super) fn into_list(self) -> Vec<LabelTotals> {
        let others = Some(self.others).filter(|others| others.granted_count + others.refused_count > 0);
        let mut list: Vec<_> = self.by_label.into_values().chain(others).collect();
        sort_by(&mut list, |a, b| (b.granted_bytes, &a.label).cmp(&(a.granted_bytes, &b.label)));
        list
    }
}

impl EventKind {
    fn concerns_allocations(self) -> bool {
        matches!(self, Self::Held | Self::Grant | Self::Release | Self::Refusal)
    }
}

impl LabelTotals {
    fn new(label: Arc<str>) -> Self {
        Self {
            label,
            live_bytes: 0,
            live_count: 0,
            peak_bytes: 0,
            granted_bytes: 0,
            granted_count: 0,
            refused_bytes: 0,
            refused_count: 0,
        }
    }

    fn count(&mut self, kind: EventKind, bytes: u64) {
        match kind {
            EventKind::Held | EventKind::Grant => {
                self.live_bytes += bytes;
                self.live_count += 1;
                self.peak_bytes = self.peak_bytes.max(self.live_bytes);
                self.granted_bytes = self.granted_bytes.saturating_add(bytes);
                self.granted_count += 1;
            }
            EventKind::Release => {
                self.live_bytes -= bytes;
                self.live_count -= 1;
            }
            EventKind::Refusal => {
                self.refused_bytes = self.refused_bytes.saturating_add(bytes);
                self.refused_count += 1;
            }
            _ => {}
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_labels_takes_more_than_its_share_of_memory() {
        let mut totals = Totals::default();
        for number in 0..MAX_LABELS + 100 {
            totals.count(EventKind::Grant, &number.to_string(), 1);
        }
        totals.count(EventKind::Release, &(MAX_LABELS + 50).to_string(), 1);
        let list = totals.into_list();
        assert_eq!(list.len(), MAX_LABELS + 1);
        let others = list.iter().find(|totals| &*totals.label == OTHERS).unwrap();
        assert_eq!((others.granted_count, others.live_count), (100, 99));
    }

    #[test]
    fn a_label_is_cut_between_two_characters() {
        let label = "é".repeat(600);
        let kept = Totals::default().count(EventKind::Grant, &format!("x{label}"), 1);
        assert_eq!(kept.len(), MAX_LABEL_BYTES - 1);
    }
}
