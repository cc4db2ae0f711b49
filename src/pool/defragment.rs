//! The native half of a defragmentation: its moves, one after the other, with the keys that JavaScript knows buffers by.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use plimsoll::{
    Result as CoreResult,
    pool::{DefragmentPass, Move},
};

use super::table::{Key, PoolTable};
use crate::work::Work;

/// A move that was planned and is to be made or forgone.
#[napi]
pub struct NativeMove {
    planned: Move,
    key: Key,
}

#[napi]
impl NativeMove {
    /// The key of the buffer.
    #[napi(getter, catch_unwind)]
    pub fn key(&self) -> f64 {
        self.key
    }

    #[napi(getter, catch_unwind)]
    pub fn bytes(&self) -> f64 {
        self.planned.bytes as f64
    }

    pub(crate) fn planned(&self) -> Move {
        self.planned
    }
}

/// A defragmentation from its first move to its last.
#[napi]
pub struct NativePass(Arc<Mutex<Option<Pass>>>);

struct Pass {
    table: PoolTable,
    moves: DefragmentPass,
}

#[napi]
impl NativePass {
    pub(crate) fn new(table: PoolTable) -> Self {
        let moves = table.pool.begin_pass();
        Self(Arc::new(Mutex::new(Some(Pass { table, moves }))))
    }

    /// The next move, of a buffer that had none in this pass. The last has to be made or forgone before. Nothing when the
    /// pass is complete, or the books are not copied after so many milliseconds.
    #[napi(ts_return_type = "Promise<NativeMove | null>", catch_unwind)]
    pub fn next_move(&self, max_ms: Option<f64>) -> AsyncTask<Work<Option<NativeMove>, Option<NativeMove>>> {
        let pass = Arc::clone(&self.0);
        let within = max_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
        let until = within.and_then(|within| Instant::now().checked_add(within));
        let next = move || lock(&pass).as_mut().map_or(Ok(None), |pass| pass.next_move(until));
        Work::promise(next, |_, planned| Ok(planned))
    }

    /// Whether nothing is left that a move would mend.
    #[napi(getter, catch_unwind)]
    pub fn complete(&self) -> bool {
        lock(&self.0).as_ref().is_some_and(|pass| pass.moves.is_complete())
    }

    /// Another call goes on with it, which may want moves that were forgone.
    #[napi(catch_unwind)]
    pub fn resume(&self, ask_again: bool) {
        if let Some(pass) = lock(&self.0).as_mut() {
            pass.moves.resume(ask_again);
        }
    }

    /// Lets go of what it remembers, which the engine knows nothing of, and would not hurry to collect.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        drop(lock(&self.0).take());
    }
}

fn lock(pass: &Mutex<Option<Pass>>) -> MutexGuard<'_, Option<Pass>> {
    pass.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pass {
    fn next_move(&mut self, until: Option<Instant>) -> CoreResult<Option<NativeMove>> {
        while let Some(planned) = self.moves.next_move_until(until)? {
            if let Some(key) = self.table.buffers().key_of(planned.buffer()) {
                return Ok(Some(NativeMove { planned, key }));
            }
            // It was released, and work on it that is under way still has it.
            self.table.pool.forgo_move(&planned);
        }
        Ok(None)
    }
}
