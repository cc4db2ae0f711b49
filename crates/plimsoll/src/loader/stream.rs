//! One thread that reads ahead of its consumer, and no further than a few units.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread::{self, JoinHandle},
};

use super::{
    load_note::LoadNote,
    reader::{Reader, Unit},
    spare::Spare,
};
use crate::error::{Error, Result};
use crate::sync::{lock, wait};

/// Units that may exist at once: one being read, one ready, one in the consumer's hands.
const MAX_LIVE_UNITS: usize = 3;

/// Receives one unit, `None` at the end, or the error that ended the stream.
type Deliver = Box<dyn FnOnce(Result<Option<StreamedUnit>>) + Send>;

/// A reader on a thread of its own, ahead of its consumer by a few units at most.
///
/// The thread starts with the first request. It waits while three units are live, so the
/// consumer's pace, and how long it holds on to units, hold the reader back. Dropping the stream cancels it; a
/// stream into a destination then also waits for the unit being written, so that nothing is written afterwards.
///
/// As an iterator it blocks the calling thread until the next unit is there.
pub struct UnitStream {
    shared: Arc<StreamShared>,
    into_destination: bool,
}

struct StreamShared {
    state: Mutex<StreamState>,
    changed: Condvar,
}

struct StreamState {
    /// Until the thread starts with it.
    reader: Option<Reader>,
    thread: Option<JoinHandle<()>>,
    requests: VecDeque<Deliver>,
    ready: VecDeque<StreamedUnit>,
    live_units: usize,
    /// Units that were dropped since the stream began.
    returned_units: u64,
    cancelled: bool,
    /// Set when nothing more will be read; an error is told once, then the stream is at its end.
    finished: bool,
    error: Option<Error>,
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
struct Permit {
    shared: Arc<StreamShared>,
    /// Whether a unit came of it, whose return may have made room.
    used: bool,
}

impl Permit {
    fn unused(mut self) {
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
        Unit { chunks: std::mem::take(&mut self.unit.chunks), buffer }
    }
}

impl StreamShared {
    fn state(&self) -> MutexGuard<'_, StreamState> {
        lock(&self.state)
    }

    /// Waits for room and gives the permit for one more unit; `None` when cancelled.
    fn wait_for_room(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state();
        while !state.cancelled && state.live_units >= MAX_LIVE_UNITS {
            state = self.wait(state);
        }
        if state.cancelled {
            return None;
        }
        state.live_units += 1;
        Some(Permit { shared: Arc::clone(self), used: true })
    }

    /// Waits until a unit has been returned since `returned_units` were; `false` if none is out that could be.
    fn wait_for_return(&self, returned_units: u64) -> bool {
        let mut state = self.state();
        while !state.cancelled && state.returned_units == returned_units {
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

    /// Hands the unit to the first who waits, or lays it down as ready.
    fn deliver(&self, unit: StreamedUnit) {
        let mut state = self.state();
        if state.cancelled {
            drop(state); // The permit in the unit takes the lock.
            drop(unit);
            return;
        }
        match state.requests.pop_front() {
            None => state.ready.push_back(unit),
            Some(deliver) => {
                drop(state);
                deliver(Ok(Some(unit)));
            }
        }
    }

    /// Nothing more will be read: tells everyone who waits, the first of them the error.
    fn finish(&self, error: Option<Error>) {
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
    fn ending(&mut self) -> Result<Option<StreamedUnit>> {
        match self.error.take() {
            Some(error) => Err(error),
            None if self.cancelled => Err(Error::Cancelled),
            None => Ok(None),
        }
    }
}

/// Finishes the stream however its thread ends, a panic included: nobody is left waiting.
struct FinishOnDrop(Arc<StreamShared>, PathBuf);

impl Drop for FinishOnDrop {
    fn drop(&mut self) {
        if !self.0.state().finished {
            let what = format!("{}: the thread that reads it ended without an outcome", self.1.display());
            self.0.finish(Some(Error::internal(what)));
        }
    }
}

fn run(shared: &Arc<StreamShared>, reader: Reader) {
    let finish = FinishOnDrop(Arc::clone(shared), reader.path().to_owned());
    let mut note = reader.note_load();
    let error = read_all(shared, reader, &mut note).err();
    drop(note); // Recorded before anybody is told.
    finish.0.finish(error);
}

/// Reads to the end or until cancelled. The reader and its buffers are gone when it returns.
fn read_all(shared: &Arc<StreamShared>, mut reader: Reader, note: &mut LoadNote) -> Result<()> {
    let spare = reader.spare();
    while let Some(permit) = shared.wait_for_room() {
        let returned_units = shared.state().returned_units;
        match reader.next_unit() {
            Ok(Some(unit)) => {
                note.read(stored_bytes(&unit));
                shared.deliver(StreamedUnit { unit, spare: spare.clone(), _permit: permit });
            }
            Ok(None) => {
                note.completed();
                return Ok(());
            }
            // The budget may be too small for three units at once. With fewer it goes slower, but it goes: each
            // try follows the return of a unit that may have made room.
            Err(error @ Error::InsufficientMemory { .. }) => {
                permit.unused();
                if spare.release() {
                    continue; // What was refused may be of another size.
                }
                if !shared.wait_for_return(returned_units) {
                    return Err(error);
                }
            }
            Err(error) => return Err(error),
        }
    }
    note.cancelled();
    Ok(())
}

fn stored_bytes(unit: &Unit) -> u64 {
    unit.chunks.iter().map(|chunk| chunk.bytes.end - chunk.bytes.start).sum()
}

impl UnitStream {
    /// A stream over `reader`. No thread is started and nothing is read before the first request.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        let into_destination = reader.has_destination();
        let state = StreamState {
            reader: Some(reader),
            thread: None,
            requests: VecDeque::new(),
            ready: VecDeque::new(),
            live_units: 0,
            returned_units: 0,
            cancelled: false,
            finished: false,
            error: None,
        };
        let shared = StreamShared { state: Mutex::new(state), changed: Condvar::new() };
        Self { shared: Arc::new(shared), into_destination }
    }

    /// Asks for the next unit. `deliver` is called once: at once when a unit is ready or the stream is over, else
    /// on the reader's thread. Requests are served in order.
    ///
    /// It is given `None` after the last unit, [`Error::Cancelled`] after [`cancel`](Self::cancel), and any error
    /// of [`Reader::next_unit`], after which the stream is at its end.
    pub fn request(&self, deliver: impl FnOnce(Result<Option<StreamedUnit>>) + Send + 'static) {
        let mut state = self.shared.state();
        if let Some(unit) = state.ready.pop_front() {
            drop(state);
            return deliver(Ok(Some(unit)));
        }
        if state.finished {
            let ending = state.ending();
            drop(state);
            return deliver(ending);
        }
        state.requests.push_back(Box::new(deliver));
        let started = state.reader.take().map(|reader| self.start(reader));
        match started {
            None => {}
            Some(Ok(thread)) => state.thread = Some(thread),
            Some(Err(error)) => {
                drop(state);
                self.shared.finish(Some(error));
            }
        }
    }

    fn start(&self, reader: Reader) -> Result<JoinHandle<()>> {
        let path = reader.path().to_owned();
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("plimsoll-loader".to_owned()).spawn(move || run(&shared, reader)).map_err(
            |source: io::Error| Error::Io { path, tensor: None, offset_bytes: None, call: "clone", source },
        )
    }

    /// Whether nothing more will be read, or written to a destination.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.shared.state().finished
    }

    /// Ends the stream within one unit: nothing more is read, and ready units go back to the pool. Whoever waits, or
    /// asks from now on, is told [`Error::Cancelled`] once the reader has stopped. A second call does nothing.
    pub fn cancel(&self) {
        let mut state = self.shared.state();
        state.cancelled = true;
        let reader = state.reader.take();
        state.finished |= reader.is_some(); // No thread was started, so none will say so.
        let ready = std::mem::take(&mut state.ready);
        drop(state);
        drop((reader, ready)); // Their permits take the lock.
        self.shared.changed.notify_all();
    }
}

impl Drop for UnitStream {
    fn drop(&mut self) {
        self.cancel();
        let thread = self.shared.state().thread.take();
        if let Some(thread) = thread.filter(|_| self.into_destination) {
            // A panic of the reader has already been told to whoever waited.
            let _ = thread.join();
        }
    }
}

impl Iterator for UnitStream {
    type Item = Result<StreamedUnit>;

    fn next(&mut self) -> Option<Self::Item> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.request(move |outcome| {
            // The receiver waits right here; it cannot be gone.
            let _ = sender.send(outcome);
        });
        receiver.recv().unwrap_or(Err(Error::Cancelled)).transpose()
    }
}
