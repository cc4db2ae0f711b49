//! What the threads of a stream and its consumer share.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
};

use super::{
    load_note::LoadNote,
    spare::Spare,
    work::{Unit, Work},
};
use crate::{
    error::{Error, Result},
    sync::{lock, wait},
};

/// Receives one unit, `None` at the end, or the error that ended the stream.
pub(super) type Deliver = Box<dyn FnOnce(Result<Option<StreamedUnit>>) + Send>;

pub(super) struct StreamShared {
    pub(super) state: Mutex<StreamState>,
    pub(super) changed: Condvar,
    pub(super) max_live_units: usize,
}

pub(super) struct StreamState {
    /// Until the threads start with it.
    pub(super) work: Option<Arc<Work>>,
    pub(super) threads: Vec<JoinHandle<()>>,
    /// How many threads read.
    pub(super) workers: usize,
    /// The record of the load, while it runs.
    pub(super) note: Option<LoadNote>,
    pub(super) requests: VecDeque<Deliver>,
    pub(super) ready: VecDeque<StreamedUnit>,
    /// The place of the unit that is delivered next.
    pub(super) turn: u64,
    pub(super) live_units: usize,
    /// Units that were dropped since the stream began.
    pub(super) returned_units: u64,
    pub(super) cancelled: bool,
    /// Set when nothing more will be read; an error is told once, then the stream is at its end.
    pub(super) finished: bool,
    pub(super) error: Option<Error>,
}

/// A unit that counts as live until it is dropped.
pub struct StreamedUnit {
    unit: Unit,
    spare: Spare,
    /// Released after the buffer was.
    _permit: Permit,
}

impl Drop for StreamedUnit {
    fn drop(&mut self) {
        if let Some(buffer) = self.unit.buffer.take() {
            self.spare.put(buffer);
        }
    }
}

/// One of the live units of a stream.
pub(super) struct Permit {
    shared: Arc<StreamShared>,
    /// Whether a unit came of it, whose return may have made room.
    used: bool,
}

impl Permit {
    pub(super) fn unused(mut self) {
        self.used = false;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.live_units -= 1;
        state.returned_units += u64::from(self.used);
        drop(state);
        self.shared.changed.notify_all();
    }
}

impl StreamedUnit {
    pub(super) const fn new(unit: Unit, spare: Spare, permit: Permit) -> Self {
        Self { unit, spare, _permit: permit }
    }

    /// The chunks and their data.
    #[must_use]
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The same, to be taken apart or written to.
    pub fn unit_mut(&mut self) -> &mut Unit {
        &mut self.unit
    }

    /// Takes the unit out of the stream for good: its buffer leaves the pool, and the stream may read another in
    /// its place.
    #[must_use]
    pub fn keep(mut self) -> Unit {
        let mut buffer = self.unit.buffer.take();
        if let Some(buffer) = &mut buffer {
            buffer.keep();
        }
        let unit = &mut self.unit;
        Unit { chunks: std::mem::take(&mut unit.chunks), buffer, digests: std::mem::take(&mut unit.digests) }
    }
}

impl StreamShared {
    pub(super) fn state(&self) -> MutexGuard<'_, StreamState> {
        lock(&self.state)
    }

    /// Waits for room and gives the permit for one more unit; `None` when nothing more is to be read.
    pub(super) fn wait_for_room(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state();
        while !state.is_stopped() && state.live_units >= self.max_live_units {
            state = self.wait(state);
        }
        if state.is_stopped() {
            return None;
        }
        state.live_units += 1;
        Some(Permit { shared: Arc::clone(self), used: true })
    }

    /// Waits until all units before `place` were delivered; `false` when this one will not be.
    pub(super) fn wait_for_turn(&self, place: u64) -> bool {
        let mut state = self.state();
        while !state.is_stopped() && state.turn != place {
            state = self.wait(state);
        }
        !state.is_stopped()
    }

    /// Waits until a unit has been returned since `returned_units` were; `false` if none is out that could be.
    pub(super) fn wait_for_return(&self, returned_units: u64) -> bool {
        let mut state = self.state();
        while !state.is_stopped() && state.returned_units == returned_units {
            if state.live_units == 0 {
                return false;
            }
            state = self.wait(state);
        }
        true
    }

    fn wait<'a>(&self, state: MutexGuard<'a, StreamState>) -> MutexGuard<'a, StreamState> {
        wait(&self.changed, state)
    }

    /// Hands the unit whose turn it is to the first who waits, or lays it down as ready.
    pub(super) fn deliver(&self, unit: StreamedUnit) {
        let mut state = self.state();
        if state.is_stopped() {
            drop(state); // The permit in the unit takes the lock.
            drop(unit);
            return;
        }
        if let Some(note) = &mut state.note {
            note.read(stored_bytes(&unit.unit));
        }
        match state.requests.pop_front() {
            None => state.ready.push_back(unit),
            Some(deliver) => {
                drop(state);
                deliver(Ok(Some(unit)));
                state = self.state();
            }
        }
        // Only now: whoever waits is served in the order of the units.
        state.turn += 1;
        drop(state);
        self.changed.notify_all();
    }

    /// One of several threads stops reading; `false` if it is the only one.
    pub(super) fn leave_to_others(&self, work: &mut Option<Arc<Work>>) -> bool {
        let mut state = self.state();
        if state.workers < 2 {
            return false;
        }
        state.workers -= 1;
        state.returned_units += 1; // What this one had went back, and may be what another was refused.
        *work = None; // Under the lock, so that the last thread has the last share of it.
        true
    }

    /// A thread stops reading. The last one ends the stream.
    pub(super) fn leave(&self, work: Arc<Work>, outcome: Result<()>) {
        let mut state = self.state();
        if let Err(error) = outcome
            && !state.is_stopped()
        {
            state.error = Some(error);
        }
        let is_last = state.workers < 2;
        let is_whole = !state.is_stopped();
        if !is_last {
            state.workers -= 1;
            drop(work); // As above.
            drop(state);
            return self.changed.notify_all();
        }
        drop(state);
        let finished = if is_whole { work.finish() } else { Ok(()) };
        drop(work);
        let mut state = self.state();
        state.workers = 0;
        let mut note = state.note.take();
        match &mut note {
            Some(note) if is_whole && finished.is_ok() => note.completed(),
            Some(note) if state.cancelled => note.cancelled(),
            _ => {}
        }
        drop(state);
        drop(note); // Recorded before anybody is told.
        self.finish(finished.err());
    }

    /// Nothing more will be read: tells everyone who waits, the first of them the error.
    pub(super) fn finish(&self, error: Option<Error>) {
        let mut state = self.state();
        state.finished = true;
        state.error = state.error.take().or(error);
        let requests = std::mem::take(&mut state.requests);
        let endings: Vec<_> = requests.into_iter().map(|deliver| (deliver, state.ending())).collect();
        drop(state);
        for (deliver, ending) in endings {
            deliver(ending);
        }
    }
}

impl StreamState {
    /// Whether nothing more is to be read or delivered.
    fn is_stopped(&self) -> bool {
        self.cancelled || self.error.is_some()
    }

    pub(super) fn ending(&mut self) -> Result<Option<StreamedUnit>> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.cancelled => Err(Error::Cancelled),
            None => Ok(None),
        }
    }
}

fn stored_bytes(unit: &Unit) -> u64 {
    unit.chunks.iter().map(|chunk| chunk.bytes.end - chunk.bytes.start).sum()
}
