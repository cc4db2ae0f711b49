//! The buffers that JavaScript holds out of a pool, and the two calls that every one of them goes through.
//!
//! Finding the native half of a class instance takes the engine longer than all that is done here, so these calls are
//! functions over a handle, which it finds three times as fast.

use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicI64, Ordering},
    },
};

use napi::{
    Env,
    bindgen_prelude::{AsyncTask, External},
};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    pool::{BufferOptions, GRANULE_BYTES, MemoryPool, Pin, Placement, PoolBuffer},
};
use slab::Slab as Slots;

use crate::{error::to_js, sync::lock, work::Work};

/// What a buffer begins at a multiple of where nothing is said, in bytes.
#[napi]
pub const USUAL_ALIGN_BYTES: u32 = GRANULE_BYTES as u32;

/// The engine is told of memory that its garbage holds once this much has come together: telling it costs more than a
/// buffer.
const REPORT_BYTES: i64 = 1 << 20;

/// A pool with the buffers that JavaScript holds out of it, each under a key.
#[derive(Clone)]
pub struct PoolTable(Arc<Inner>);

pub struct Inner {
    pub pool: MemoryPool,
    buffers: Mutex<Buffers>,
    /// Bytes of buffers that the engine was not yet told of.
    unreported_bytes: AtomicI64,
    reported_bytes: AtomicI64,
}

/// The key of a buffer, a whole number: its place, and above it how many came before it, so that no key is used again
/// while anybody may remember it.
pub type Key = f64;

const PLACES: u64 = 1 << u32::BITS;

/// What is left of a number's 53 bits.
const COUNTS: u64 = 1 << 21;

#[derive(Default)]
pub struct Buffers {
    kept: Slots<Kept>,
    /// The place of each by the low half of its number, which no other that lives has.
    places: Vec<u32>,
    /// Those there ever were.
    count: u64,
}

pub struct Kept {
    key: Key,
    pub buffer: PoolBuffer,
    pub pins: Vec<Pin>,
}

impl Buffers {
    fn insert(&mut self, buffer: PoolBuffer) -> Key {
        let place = self.kept.vacant_entry();
        let key = (self.count % COUNTS * PLACES + place.key() as u64) as Key;
        let low = low_half(buffer.id());
        if low >= self.places.len() {
            self.places.resize(low + 1, 0);
        }
        if let Some(known) = self.places.get_mut(low) {
            *known = place.key() as u32;
        }
        place.insert(Kept { key, buffer, pins: Vec::new() });
        self.count += 1;
        key
    }

    pub fn get_mut(&mut self, key: Key) -> Option<&mut Kept> {
        self.kept.get_mut(place_of(key)).filter(|kept| is_same(kept.key, key))
    }

    fn remove(&mut self, key: Key) -> Option<Kept> {
        self.get_mut(key)?;
        self.kept.try_remove(place_of(key))
    }

    pub fn drain(&mut self) -> Vec<Kept> {
        self.kept.drain().collect()
    }

    /// The key of the buffer that the pool knows by this number.
    pub fn key_of(&self, id: u64) -> Option<Key> {
        let kept = self.kept.get(*self.places.get(low_half(id))? as usize)?;
        (kept.buffer.id() == id).then_some(kept.key)
    }
}

fn low_half(id: u64) -> usize {
    (id % PLACES) as usize
}

fn place_of(key: Key) -> usize {
    (key as u64 % PLACES) as usize
}

/// Keys are whole numbers, so they are the same or not.
fn is_same(one: Key, other: Key) -> bool {
    one.total_cmp(&other).is_eq()
}

impl Deref for PoolTable {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl PoolTable {
    pub fn new(pool: MemoryPool) -> Self {
        let (unreported_bytes, reported_bytes) = (AtomicI64::new(0), AtomicI64::new(0));
        Self(Arc::new(Inner { pool, buffers: Mutex::default(), unreported_bytes, reported_bytes }))
    }
}

impl Inner {
    pub fn buffers(&self) -> MutexGuard<'_, Buffers> {
        lock(&self.buffers)
    }

    pub fn buffer(&self, key: Key) -> CoreResult<PoolBuffer> {
        let mut buffers = self.buffers();
        let kept = buffers.get_mut(key).ok_or(CoreError::Released { what: "the buffer" })?;
        Ok(kept.buffer.clone())
    }

    /// Keeps a buffer for JavaScript, and returns its key.
    pub fn keep(&self, env: Env, buffer: PoolBuffer) -> Key {
        self.report(env, buffer.size_bytes().cast_signed());
        self.buffers().insert(buffer)
    }

    /// Tells the engine of memory that its garbage may hold.
    pub fn report(&self, env: Env, bytes: i64) {
        let unreported_bytes = self.unreported_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unreported_bytes.abs() >= REPORT_BYTES {
            self.unreported_bytes.fetch_sub(unreported_bytes, Ordering::Relaxed);
            self.reported_bytes.fetch_add(unreported_bytes, Ordering::Relaxed);
            // It only fails in an environment that has ended, which collects nothing any more.
            let _ = env.adjust_external_memory(unreported_bytes);
        }
    }

    /// Bytes that the engine was told of and not told to forget.
    pub fn reported_bytes(&self) -> i64 {
        self.reported_bytes.load(Ordering::Relaxed)
    }
}

pub fn buffer_options(align_bytes: f64, transient: bool, label: Option<String>) -> BufferOptions {
    BufferOptions {
        align_bytes: align_bytes as u64,
        placement: if transient { Placement::Transient } else { Placement::LongLived },
        label: label.unwrap_or_default().into(),
    }
}

/// Hands out a buffer from the slabs held, and returns its key.
#[napi(catch_unwind)]
pub fn allocate_buffer(
    env: Env,
    #[napi(ts_arg_type = "object")] table: &External<PoolTable>,
    bytes: f64,
    align_bytes: f64,
    transient: bool,
    label: Option<String>,
) -> napi::Result<f64> {
    let options = buffer_options(align_bytes, transient, label);
    let buffer = table.pool.allocate(bytes as u64, &options).map_err(|error| to_js(env, &error))?;
    Ok(table.keep(env, buffer))
}

/// Frees the buffer under `key`; whether slabs now wait to be collected.
#[napi(catch_unwind)]
pub fn free_buffer(env: Env, #[napi(ts_arg_type = "object")] table: &External<PoolTable>, key: f64) -> bool {
    let kept = table.buffers().remove(key);
    if let Some(Kept { buffer, pins, .. }) = kept {
        table.report(env, -(buffer.size_bytes().cast_signed()));
        drop(pins);
        buffer.free_without_waiting();
    }
    table.pool.has_retired()
}

/// Releases every slab of a pool that nobody closed; the bytes it held, and those it was given for more.
#[napi(ts_return_type = "Promise<number>", catch_unwind)]
pub fn abandon_pool(
    #[napi(ts_arg_type = "object")] table: &External<PoolTable>,
) -> AsyncTask<Work<u64, f64>> {
    let pool = table.pool.clone();
    let close = move || {
        let held_bytes = pool.stats().held_bytes + pool.given_bytes();
        pool.close();
        Ok(held_bytes)
    };
    Work::promise(close, |_, bytes| Ok(bytes as f64))
}
