//! The native half of a defragmentation: its moves, one after the other, with the keys that JavaScript knows buffers by.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use napi::{Env, bindgen_prelude::AsyncTask};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    pool::{DefragmentOptions, DefragmentRun, Move},
};

use super::{stats::DefragmentReport, table::PoolTable};
use crate::{error::to_js, sync::lock, work::Work};

/// How far a defragmentation goes.
#[napi(object, object_to_js = false)]
pub struct NativeBounds {
    pub max_bytes: Option<f64>,
    pub max_moves: Option<f64>,
    pub max_ms: Option<f64>,
    /// A hole of so many bytes ends it.
    pub enough_bytes: Option<f64>,
}

impl From<NativeBounds> for DefragmentOptions {
    fn from(bounds: NativeBounds) -> Self {
        let NativeBounds { max_bytes, max_moves, max_ms, enough_bytes } = bounds;
        Self {
            max_bytes: max_bytes.map(|bytes| bytes as u64),
            max_moves: max_moves.map(|moves| moves as u64),
            max_time: max_ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok()),
            enough_bytes: enough_bytes.map(|bytes| bytes as u64),
            dry_run: false,
        }
    }
}

/// A move that was found.
#[napi(object, object_from_js = false)]
pub struct NativeMove {
    /// The key of the buffer.
    pub key: f64,
    /// Its size, in bytes.
    pub bytes: f64,
}

/// A defragmentation within bounds, and its report.
#[napi]
pub struct NativeRun(Arc<Mutex<Option<Run>>>);

struct Run {
    table: PoolTable,
    core: DefragmentRun,
    /// The move that JavaScript is to be asked about.
    found: Option<Move>,
}

#[napi]
impl NativeRun {
    pub(crate) fn new(table: PoolTable, bounds: &DefragmentOptions) -> CoreResult<Self> {
        let core = table.pool.begin_run(bounds)?;
        Ok(Self(Arc::new(Mutex::new(Some(Run { table, core, found: None })))))
    }

    /// Goes on within new bounds, with a new report. With `ask_again` moves are found again that were not made before.
    #[napi(catch_unwind)]
    pub fn go_on(&self, env: Env, bounds: NativeBounds, ask_again: bool) -> napi::Result<()> {
        let mut run = lock(&self.0);
        let gone_on = run.as_mut().map(|run| run.core.go_on(&bounds.into(), ask_again));
        gone_on.unwrap_or_else(|| Err(ended())).map_err(|error| to_js(env, &error))
    }

    /// Finds the next move; a promise of whether there is one within the bounds.
    #[napi(ts_return_type = "Promise<boolean>", catch_unwind)]
    pub fn next_move(&self) -> AsyncTask<Work<bool, bool>> {
        let run = Arc::clone(&self.0);
        let next = move || {
            let mut run = lock(&run);
            let run = run.as_mut().ok_or_else(ended)?;
            run.found = run.core.next_move()?;
            Ok(run.found.is_some())
        };
        Work::promise(next, |_, found| Ok(found))
    }

    /// The move that was found. Nothing, and it is cancelled, where its buffer was released before.
    #[napi(catch_unwind)]
    pub fn found(&self) -> Option<NativeMove> {
        let mut run = lock(&self.0);
        let run = run.as_mut()?;
        let found = run.found.take()?;
        let key = run.table.buffers().key_of(found.buffer());
        if key.is_none() {
            run.core.cancel_move();
        }
        Some(NativeMove { key: key?, bytes: found.bytes as f64 })
    }

    /// The move that was found is not wanted.
    #[napi(catch_unwind)]
    pub fn veto_move(&self) {
        if let Some(run) = lock(&self.0).as_mut() {
            run.core.veto_move();
        }
    }

    /// Makes the move that was found; a promise of whether it was made: not where its buffer was freed or pinned since.
    #[napi(ts_return_type = "Promise<boolean>", catch_unwind)]
    pub fn make_move(&self) -> AsyncTask<Work<bool, bool>> {
        // Begun before it is queued: all that is queued behind it and waits for it finds it under way.
        let begun = lock(&self.0).as_mut().map_or(Ok(None), |run| run.core.begin_move());
        let run = Arc::clone(&self.0);
        let make = move || {
            let Some(begun) = begun? else { return Ok(false) };
            let emptied_bytes = begun.make()?;
            if let Some(run) = lock(&run).as_mut() {
                run.core.count_move(emptied_bytes);
            }
            Ok(true)
        };
        Work::promise(make, |_, made| Ok(made))
    }

    /// What has come of it until now.
    #[napi(catch_unwind)]
    pub fn report(&self, env: Env) -> napi::Result<DefragmentReport> {
        let report = lock(&self.0).as_ref().map(|run| run.core.report().into());
        report.ok_or_else(|| to_js(env, &ended()))
    }

    /// Lets go of what it remembers, which the engine knows nothing of, and would not hurry to collect.
    #[napi(catch_unwind)]
    pub fn end(&self) {
        drop(lock(&self.0).take());
    }
}

fn ended() -> CoreError {
    CoreError::Released { what: "the defragmentation" }
}
