//! The native half of a defragmentation: its moves, one after the other, with the keys that JavaScript knows buffers by.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use napi::bindgen_prelude::AsyncTask;
use napi_derive::napi;
use plimsoll::{
    Result as CoreResult,
    pool::{DefragmentPass, Move},
};

use crate::{
    pool_table::{Key, PoolTable},
    work::Work,
};

/// Keys that are read under one lock: buffers come and go meanwhile.
const READ_AT_ONCE: usize = 1024;

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
    /// Keys by the numbers of their buffers, as they were when all were read.
    keys: HashMap<u64, Key>,
}

#[napi]
impl NativePass {
    pub(crate) fn new(table: PoolTable) -> Self {
        let moves = table.pool.begin_pass();
        Self(Arc::new(Mutex::new(Some(Pass { table, moves, keys: HashMap::new() }))))
    }

    /// The next move, of a buffer that had none in this pass. The last has to be made or forgone before.
    #[napi(ts_return_type = "Promise<NativeMove | null>", catch_unwind)]
    pub fn next_move(&self) -> AsyncTask<Work<Option<NativeMove>, Option<NativeMove>>> {
        let pass = Arc::clone(&self.0);
        let next = move || lock(&pass).as_mut().map_or(Ok(None), Pass::next_move);
        Work::promise(next, |_, planned| Ok(planned))
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
    fn next_move(&mut self) -> CoreResult<Option<NativeMove>> {
        while let Some(planned) = self.moves.next_move()? {
            if let Some(key) = self.key_of(planned.buffer()) {
                return Ok(Some(NativeMove { planned, key }));
            }
            // It was released, and work on it that is under way still has it.
            self.table.pool.forgo_move(&planned);
        }
        Ok(None)
    }

    /// Reads all keys again for a buffer that came after they were read.
    fn key_of(&mut self, id: u64) -> Option<Key> {
        if !self.keys.contains_key(&id) {
            self.read_keys();
        }
        self.keys.get(&id).copied()
    }

    fn read_keys(&mut self) {
        self.keys.clear();
        self.keys.reserve(self.table.buffers().len());
        for first in (0..).step_by(READ_AT_ONCE) {
            let buffers = self.table.buffers();
            if first >= buffers.places() {
                break;
            }
            self.keys.extend(buffers.ids_in(first..first + READ_AT_ONCE));
        }
    }
}
