//! Threads that read ahead of their consumer, and no further than a few units.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::{
    io_mode::{AskedIo, Reading},
    reader::Reader,
    share::Share,
    stream_state::{StreamShared, StreamState, StreamedUnit},
    work::Work,
};
use crate::error::{Error, Result};

/// Units that may exist at once beside those that are being read, one a thread: one ready, one in the consumer's hands.
const UNREAD_UNITS: usize = 2;

/// A reader on threads of its own, ahead of its consumer by a few units at most.
///
/// The threads start with the first request, one unless the selection says more. Each reads and converts a unit of its own;
/// units are delivered in order. The threads wait while as many units are live as there are threads, and two more, so the
/// consumer's pace, and how long it holds on to units, hold them back. Dropping the stream cancels it; a
/// stream into a destination then also waits for the units being written, so that nothing is written afterwards.
///
/// As an iterator it blocks the calling thread until the next unit is there.
pub struct UnitStream {
    shared: Arc<StreamShared>,
    asked: AskedIo,
    into_destination: bool,
}

impl UnitStream {
    /// A stream over `reader`. No thread is started and nothing is read before the first request.
    #[must_use]
    pub fn new(reader: Reader) -> Self {
        let work = reader.into_work();
        let (asked, into_destination) = (work.intake.asked.clone(), work.has_destination());
        let max_live_units = work.selection.threads() + UNREAD_UNITS;
        let state = StreamState {
            work: Some(work),
            threads: Vec::new(),
            workers: 0,
            note: None,
            requests: VecDeque::new(),
            ready: VecDeque::new(),
            turn: 0,
            live_units: 0,
            returned_units: 0,
            cancelled: false,
            finished: false,
            error: None,
        };
        let shared = StreamShared { state: Mutex::new(state), changed: Condvar::new(), max_live_units };
        Self { shared: Arc::new(shared), asked, into_destination }
    }

    /// By which calls the file is read, and why these are not those that were asked for; as far as is known yet.
    #[must_use]
    pub fn reading(&self) -> Reading {
        self.asked.reading()
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
        let Some(work) = state.work.take() else { return };
        let failed = self.start(&mut state, &work).err();
        drop((state, work));
        if let Some(error) = failed {
            self.shared.finish(Some(error));
        }
    }

    /// Starts the threads. They wait for the lock, which the caller has. Where not all can be started, some do.
    fn start(&self, state: &mut StreamState, work: &Arc<Work>) -> Result<()> {
        for _ in 0..work.selection.threads() {
            let (shared, work) = (Arc::clone(&self.shared), Arc::clone(work));
            let path = work.path().to_owned();
            let builder = thread::Builder::new().name("plimsoll-loader".to_owned());
            // Its share is made by the thread: one that is dropped where no thread could be started would want the lock.
            match builder.spawn(move || Share::new(shared, work).run()) {
                Ok(thread) => state.threads.push(thread),
                Err(source) if state.threads.is_empty() => {
                    return Err(Error::Io { path, tensor: None, offset_bytes: None, call: "clone", source });
                }
                Err(_) => break,
            }
            state.workers += 1;
        }
        Ok(())
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
        let work = state.work.take();
        state.finished |= work.is_some(); // No thread was started, so none will say so.
        let ready = std::mem::take(&mut state.ready);
        drop(state);
        drop((work, ready)); // Their permits take the lock.
        self.shared.changed.notify_all();
    }
}

impl Drop for UnitStream {
    fn drop(&mut self) {
        self.cancel();
        let threads = std::mem::take(&mut self.shared.state().threads);
        for thread in threads.into_iter().filter(|_| self.into_destination) {
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
