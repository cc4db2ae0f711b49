//! A load, from its beginning to whatever ends it.

use std::sync::Arc;

use super::{
    super::{MemoryBudget, books::Books},
    EventKind,
};

/// Records the beginning of a load when made and its end when dropped: a failure, unless it was told otherwise.
#[derive(Debug)]
pub(crate) struct LoadNote {
    /// None for a load that counts against no budget.
    books: Option<Arc<Books>>,
    id: u64,
    label: String,
    read_bytes: u64,
    end: EventKind,
}

impl LoadNote {
    /// A load of so many bytes over `budget` begins.
    pub(crate) fn start(budget: Option<&MemoryBudget>, label: String, bytes: u64) -> Self {
        let books = budget.map(|budget| Arc::clone(&budget.books));
        let id = books.as_ref().map_or(0, |books| books.take_serial());
        let note = Self { books, id, label, read_bytes: 0, end: EventKind::LoadFailed };
        note.write(EventKind::LoadStart, bytes);
        note
    }

    /// So many bytes more have been read.
    pub(crate) fn read(&mut self, bytes: u64) {
        self.read_bytes += bytes;
    }

    /// All has been read.
    pub(crate) fn completed(&mut self) {
        self.end = EventKind::LoadEnd;
    }

    /// Nobody wants the rest.
    pub(crate) fn cancelled(&mut self) {
        self.end = EventKind::LoadCancelled;
    }

    fn write(&self, kind: EventKind, bytes: u64) {
        if let Some(books) = &self.books {
            books.note_load(kind, self.id, &self.label, bytes);
        }
    }
}

impl Drop for LoadNote {
    fn drop(&mut self) {
        self.write(self.end, self.read_bytes);
    }
}
