//! A load, from its beginning to whatever ends it.

use crate::budget::{EventKind, MemoryBudget};

/// Records the beginning of a load when made and its end when dropped: a failure, unless it was told otherwise.
#[derive(Debug)]
pub(super) struct LoadNote {
    /// None for a load that counts against no budget.
    budget: Option<MemoryBudget>,
    id: u64,
    label: String,
    read_bytes: u64,
    end: EventKind,
}

impl LoadNote {
    /// A load of so many bytes over `budget` begins.
    pub(super) fn start(budget: Option<&MemoryBudget>, label: String, bytes: u64) -> Self {
        let budget = budget.cloned();
        let id = budget.as_ref().map_or(0, MemoryBudget::next_load_id);
        let note = Self { budget, id, label, read_bytes: 0, end: EventKind::LoadFailed };
        note.write(EventKind::LoadStart, bytes);
        note
    }

    /// So many bytes more have been read.
    pub(super) fn read(&mut self, bytes: u64) {
        self.read_bytes += bytes;
    }

    /// All has been read.
    pub(super) fn completed(&mut self) {
        self.end = EventKind::LoadEnd;
    }

    /// Nobody wants the rest.
    pub(super) fn cancelled(&mut self) {
        self.end = EventKind::LoadCancelled;
    }

    fn write(&self, kind: EventKind, bytes: u64) {
        if let Some(budget) = &self.budget {
            budget.note_load(kind, self.id, &self.label, bytes);
        }
    }
}

impl Drop for LoadNote {
    fn drop(&mut self) {
        self.write(self.end, self.read_bytes);
    }
}
