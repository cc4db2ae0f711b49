//! What a budget says when it refuses.

use super::{
    MemoryBudget,
    sharing::{Crowded, Unshared},
    weighing::Lacking,
};
use crate::{
    error::{Error, Left},
    units::format_bytes,
};

impl MemoryBudget {
    pub(super) fn refused_at_gate(&self, requested_bytes: u64, reason: String, label: String) -> Error {
        Error::insufficient_memory(label, requested_bytes, Left::whole(0), reason, self.suggestion(0))
    }

    /// Whatever it failed by, it tells of the lesser of line and machine: who asks for that much is granted it.
    pub(super) fn refusal(&self, requested_bytes: u64, lacking: Lacking, label: String) -> Error {
        let (of_line, of_machine) = match lacking {
            Lacking::Shared(Unshared::Broken(error)) => return error,
            Lacking::Shared(Unshared::Crowded(crowded)) => {
                let Crowded { available_bytes, constraint, suggestion } = crowded;
                // Where more than that is asked for than its own line has, it is that which nobody can change.
                let (constraint, suggestion) = if requested_bytes > self.usable_bytes() {
                    (self.binding().to_string(), self.suggestion(requested_bytes))
                } else {
                    (constraint, suggestion)
                };
                let left = Left::whole(available_bytes.min(self.line_available_bytes()));
                return Error::insufficient_memory(label, requested_bytes, left, constraint, suggestion);
            }
            Lacking::Turn(kept_bytes) => return self.refused_for_another(requested_bytes, kept_bytes, label),
            Lacking::Machine(shortfall) => (self.line_available_bytes(), Some(shortfall)),
            Lacking::Line(of_line) => {
                let weighed = self.weighing.as_ref().map(|weighing| weighing.shortfall(&self.account));
                (of_line, weighed.map(|found| found.unwrap_or_else(|unreadable| unreadable)))
            }
        };
        let binding = of_machine.filter(|found| found.available_bytes < of_line);
        let available_bytes = binding.as_ref().map_or(of_line, |found| found.available_bytes);
        let suggestion = match &binding {
            Some(found) if requested_bytes <= self.usable_bytes() => found.suggestion().to_owned(),
            _ => self.suggestion(requested_bytes),
        };
        let constraint = binding.map_or_else(|| self.binding().to_string(), |found| found.constraint);
        Error::insufficient_memory(
            label,
            requested_bytes,
            Left::whole(available_bytes),
            constraint,
            suggestion,
        )
    }

    fn refused_for_another(&self, requested_bytes: u64, kept_bytes: u64, label: String) -> Error {
        let free_bytes = self.free_bytes();
        let constraint = format!(
            "of the {} that are free, {} are kept for {}",
            format_bytes(free_bytes),
            format_bytes(kept_bytes.min(free_bytes)),
            self.account.kept_for()
        );
        let suggestion = "Ask for less, or wait for a turn: acquire() does";
        let left = Left::whole(free_bytes.saturating_sub(kept_bytes));
        Error::insufficient_memory(label, requested_bytes, left, constraint, suggestion)
    }

    fn suggestion(&self, requested_bytes: u64) -> String {
        if requested_bytes > self.usable_bytes() {
            return format!(
                "More than the whole line of {} can never be granted: ask for less, or raise the line",
                format_bytes(self.usable_bytes())
            );
        }
        let largest = self.allocations().into_iter().max_by_key(|allocation| allocation.bytes);
        largest.map_or_else(
            || "Ask for less".to_owned(),
            |largest| {
                format!(
                    "Ask for less, or release something first: the largest allocation is {:?} with {}",
                    largest.label,
                    format_bytes(largest.bytes)
                )
            },
        )
    }
}
