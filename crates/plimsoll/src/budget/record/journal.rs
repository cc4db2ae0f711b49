//! The recordings that run, and what they know of each live allocation.

use std::{collections::HashMap, sync::Arc};

use slab::Slab as Slots;

use super::{
    alarm::RecordAlarm,
    event::EventKind,
    latest::Latest,
    note::Note,
    options::RecordOptions,
    origin::Origin,
    recorder::{Copied, Recorder},
    stacks::Stacks,
    threads,
};

/// Origins are kept here and not with the list's entries: those who are not recorded would
/// pay for larger ones.
#[derive(Debug, Default)]
pub(in crate::budget) struct Journal {
    recorders: Slots<Recorder>,
    /// Of the live allocations that were granted meanwhile.
    origins: HashMap<u64, Origin>,
    stacks: Stacks,
}

impl Journal {
    pub(in crate::budget) fn is_empty(&self) -> bool {
        self.recorders.is_empty()
    }

    /// Adds a recording of what is held already and of all that is written from now on.
    pub(in crate::budget) fn start<'a>(
        &mut self,
        options: RecordOptions,
        alarm: Option<RecordAlarm>,
        held: impl Iterator<Item = Note<'a>>,
    ) -> usize {
        let mut recorder = Recorder::new(options, alarm);
        let thread = threads::current();
        for note in held {
            recorder.write(&note, thread, self.stack(note.id));
        }
        self.recorders.insert(recorder)
    }

    /// Takes a recording out.
    pub(in crate::budget) fn end(&mut self, key: usize) -> Option<Recorder> {
        self.recorders.try_remove(key)
    }

    /// What a recording holds; nothing, if there is none.
    pub(in crate::budget) fn copy(&self, key: usize, with_events: bool) -> Copied {
        self.recorders.get(key).map_or_else(Copied::empty, |recorder| recorder.copy(with_events))
    }

    /// What a recording holds since it had seen `seen` events; nothing, if there is none.
    pub(in crate::budget) fn latest(&self, key: usize, seen: u64, most_labels: usize) -> Latest {
        self.recorders.get(key).map_or_else(Latest::default, |recorder| recorder.latest(seen, most_labels))
    }

    /// The most frames that any recording wants.
    pub(in crate::budget) fn stack_depth(&self) -> u32 {
        self.recorders.iter().map(|(_, recorder)| recorder.options().stack_depth).max().unwrap_or(0)
    }

    /// Where a live allocation came from, if that was recorded.
    pub(in crate::budget) fn origin(&self, id: u64) -> Option<&Origin> {
        self.origins.get(&id)
    }

    pub(in crate::budget) fn grant(&mut self, note: &Note<'_>, stack: Option<&str>) {
        let stack = stack.map(|stack| self.stacks.intern(stack));
        self.write_with(note, stack.as_ref());
        self.origins.insert(note.id, Origin { thread: threads::current(), stack });
    }

    pub(in crate::budget) fn refuse(&mut self, note: &Note<'_>, stack: Option<&str>) {
        let stack = stack.map(|stack| self.stacks.intern(stack));
        self.write_with(note, stack.as_ref());
    }

    /// Writes what happened to an allocation or a load.
    pub(in crate::budget) fn write(&mut self, note: &Note<'_>) {
        let stack = match note.kind {
            EventKind::Release => self.origins.remove(&note.id).and_then(|origin| origin.stack),
            _ => self.stack(note.id).cloned(),
        };
        self.write_with(note, stack.as_ref());
    }

    fn write_with(&mut self, note: &Note<'_>, stack: Option<&Arc<str>>) {
        let thread = threads::current();
        for (_, recorder) in &mut self.recorders {
            recorder.write(note, thread, stack);
        }
    }

    fn stack(&self, id: u64) -> Option<&Arc<str>> {
        self.origins.get(&id).and_then(|origin| origin.stack.as_ref())
    }
}
