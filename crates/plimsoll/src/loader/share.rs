//! One thread of a stream.

use std::sync::Arc;

use super::{
    stream_state::{StreamShared, StreamedUnit},
    work::{Work, Worker},
};
use crate::error::{Error, Result};

/// One thread's share in a stream, which ends with it however it ends, a panic included: nobody is left waiting.
pub(super) struct Share {
    shared: Arc<StreamShared>,
    work: Option<Arc<Work>>,
}

impl Drop for Share {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            let what = format!("{}: a thread that reads it ended without an outcome", work.path().display());
            self.shared.leave(work, Err(Error::internal(what)));
        }
    }
}

/// Why a thread stopped reading.
enum Stop {
    /// There is no more to be read, or nobody wants it.
    End,
    /// The pool has no buffers for one more unit; so many units had been returned before it was asked.
    Short(Error, u64),
    /// There is room for one more unit, but not for a stream that would come later; so many units had been returned before.
    Modest(u64),
}

impl Share {
    pub const fn new(shared: Arc<StreamShared>, work: Arc<Work>) -> Self {
        Self { shared, work: Some(work) }
    }

    pub fn run(mut self) {
        if let Some(work) = &self.work {
            let mut state = self.shared.state();
            state.note.get_or_insert_with(|| work.note_load());
        }
        let outcome = loop {
            match self.read_all() {
                Ok(Stop::End) => break Ok(()),
                // The budget may be too small for so many units at once. With fewer it goes slower, but it goes: the other
                // threads read on, and the last one tries again with each unit that returns and may have made room.
                Ok(Stop::Short(error, returned_units)) => {
                    if self.shared.leave_to_others(&mut self.work) {
                        return;
                    }
                    if !self.shared.wait_for_return(returned_units) {
                        break Err(error);
                    }
                }
                Ok(Stop::Modest(returned_units)) => {
                    if self.shared.leave_to_others(&mut self.work) {
                        return;
                    }
                    // Where none is out any more, the next is the first.
                    self.shared.wait_for_return(returned_units);
                }
                Err(error) => break Err(error),
            }
        };
        if let Some(work) = self.work.take() {
            self.shared.leave(work, outcome);
        }
    }

    /// Reads units until there are no more, or until stopped. The thread's buffers are back in their pool when it returns.
    fn read_all(&self) -> Result<Stop> {
        let Self { shared, work: Some(work) } = self else { return Ok(Stop::End) };
        let mut worker = Worker::new(Arc::clone(work));
        while let Some(permit) = shared.wait_for_room() {
            let returned_units = shared.state().returned_units;
            if work.is_exhausted() {
                permit.unused();
                break;
            }
            let other_units = shared.state().live_units.saturating_sub(1);
            if !worker.leaves_room(other_units) {
                permit.unused();
                return Ok(Stop::Modest(returned_units));
            }
            match worker.prepare() {
                Ok(()) => {}
                Err(error @ Error::InsufficientMemory { .. }) => {
                    permit.unused();
                    if work.spare.release() {
                        continue; // What was refused may be of another size.
                    }
                    return Ok(Stop::Short(error, returned_units));
                }
                Err(error) => return Err(error),
            }
            let Some(mut job) = work.take() else {
                permit.unused();
                break;
            };
            let read = worker.run(&mut job);
            // An error has its turn, too: what comes before it is delivered.
            if !shared.wait_for_turn(job.place) {
                break;
            }
            let mut unit = read?;
            worker.settle(&job, &mut unit)?;
            shared.deliver(StreamedUnit::new(unit, work.spare.clone(), permit));
        }
        Ok(Stop::End)
    }
}
