//! Native memory in JavaScript's hands.

// External array buffers are made from raw memory; each block says what keeps that memory alive.
#![allow(unsafe_code)]

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use napi::{Env, bindgen_prelude::ArrayBuffer, sys};
use plimsoll::{
    Result as CoreResult,
    loader::StreamedUnit,
    pool::{Mapping, PooledBuffer},
};

/// A buffer lent to JavaScript as array buffers.
///
/// Each array buffer holds a share of the lease until its finalizer ran: after it was detached or collected. Only
/// then does the memory return to its pool, so it is never wrapped a second time while an old view could still see
/// it. The finalizer runs on a later turn of the event loop.
///
/// When a worker ends, Node.js runs the finalizers of all its array buffers, of those too whose memory was moved to
/// another thread and is in use there. So a lease that outlives its environment is not unmapped: its pages go back
/// to the system, and its addresses stay, reading zero. Those of a map go with its slab, which the pool of an ended
/// environment lets go of.
#[derive(Clone)]
pub struct Lease(Arc<Lent>);

struct Lent {
    base: *mut u8,
    size_bytes: usize,
    held: Mutex<Option<Held>>,
    environment_ended: AtomicBool,
}

/// How an object of JavaScript's holds a lease: firmly until the memory is wrapped, then only as long as an array
/// buffer does, so that memory returns to its pool without waiting for the object to be collected.
pub struct LeaseHolder {
    unwrapped: Mutex<Option<Lease>>,
    lent: Weak<Lent>,
    size_bytes: usize,
}

impl LeaseHolder {
    pub fn new(held: Held) -> Self {
        let lease = Lease::new(held);
        let (lent, size_bytes) = (Arc::downgrade(&lease.0), lease.0.size_bytes);
        Self { unwrapped: Mutex::new(Some(lease)), lent, size_bytes }
    }

    /// Bytes lent.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// The lease, to be wrapped; there is none a second time.
    pub fn take(&self) -> napi::Result<Lease> {
        let lease = lock(&self.unwrapped).take();
        lease.ok_or_else(|| napi::Error::from_reason("expected memory that was not wrapped before"))
    }

    /// The lease, wrapped or not, while anybody holds it.
    pub fn ending(&self) -> Option<Lease> {
        lock(&self.unwrapped).take().or_else(|| self.lent.upgrade().map(Lease))
    }

    /// Takes the buffer out of its pool for good, if anybody still sees it.
    pub fn keep(&self) {
        if let Some(lent) = self.lent.upgrade() {
            lent.keep();
        }
    }
}

/// What a lease holds on to.
pub enum Held {
    Unit(StreamedUnit),
    Buffer(PooledBuffer),
    Map(Mapping),
}

impl Held {
    /// Lets go of everything but the buffer itself, which leaves its pool for good.
    fn into_kept_buffer(self) -> Option<PooledBuffer> {
        match self {
            Self::Unit(unit) => unit.keep().buffer,
            Self::Buffer(mut buffer) => {
                buffer.keep();
                Some(buffer)
            }
            Self::Map(_) => None,
        }
    }
}

// SAFETY: `base` points into the buffer that `held` owns, which may move between threads; Rust never reads or
// writes through it.
unsafe impl Send for Lent {}
// SAFETY: as above; `held` is behind its lock.
unsafe impl Sync for Lent {}

impl Lease {
    fn new(mut held: Held) -> Self {
        let of_buffer = |buffer: &mut PooledBuffer| (buffer.len(), buffer.as_mut_ptr());
        let (size_bytes, base) = match &mut held {
            Held::Unit(unit) => unit.unit_mut().buffer.as_mut().map_or((0, std::ptr::null_mut()), of_buffer),
            Held::Buffer(buffer) => of_buffer(buffer),
            Held::Map(map) => (map.view().size_bytes(), map.view().base().as_ptr()),
        };
        Self(Arc::new(Lent {
            base,
            size_bytes,
            held: Mutex::new(Some(held)),
            environment_ended: AtomicBool::new(false),
        }))
    }

    /// Ends a map: the device sees what was written. Where no view is left it is given back at once, else with the last.
    pub fn finish_map(&self, detached: bool) -> CoreResult<()> {
        let mut held = lock(&self.0.held);
        match held.as_mut() {
            Some(Held::Map(map)) if !detached => map.end(),
            Some(Held::Map(_)) => {
                let Some(Held::Map(map)) = held.take() else { return Ok(()) };
                drop(held); // A device may take its time.
                map.finish()
            }
            _ => Ok(()),
        }
    }

    /// Array buffers over parts of the memory, which must not overlap.
    pub fn array_buffers(
        self,
        env: Env,
        ranges: impl Iterator<Item = Range<usize>>,
    ) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        ranges.map(|range| self.array_buffer(env, range)).collect()
    }

    fn array_buffer(&self, env: Env, range: Range<usize>) -> napi::Result<ArrayBuffer<'static>> {
        if range.start > range.end || range.end > self.0.size_bytes {
            return Err(napi::Error::from_reason("expected a range within the buffer"));
        }
        let len = range.end - range.start;
        // SAFETY: the range lies within the buffer, which lives, unmoved, as long as the share of the lease that
        // the finalizer drops, and stays mapped after it where the environment ended first. No Rust reference to
        // it exists meanwhile.
        let buffer = unsafe {
            let start = self.0.base.add(range.start);
            ArrayBuffer::from_external(&env, start, len, self.clone(), |env, lease| lease.finalize(env))
        }?;
        if len > 0 && buffer.as_ptr() != self.0.base.wrapping_add(range.start).cast_const() {
            // Some engines refuse memory of others and were given a copy, which nobody would write back.
            return Err(napi::Error::from_reason(
                "expected an engine that takes memory of others in array buffers",
            ));
        }
        // SAFETY: the value is returned to JavaScript in the same call; the lifetime only ties it to `env`.
        Ok(unsafe { std::mem::transmute::<ArrayBuffer<'_>, ArrayBuffer<'static>>(buffer) })
    }

    /// Drops a share. When the environment is ending, nothing is known of the memory but that its array buffer will
    /// not be seen through this environment again.
    fn finalize(self, env: Env) {
        if !runs_javascript(env) {
            self.0.environment_ended.store(true, Ordering::Relaxed);
        }
    }
}

/// Whether JavaScript can run in the environment: it cannot once its thread has begun to end.
pub fn runs_javascript(env: Env) -> bool {
    let (mut global, mut is_equal) = (std::ptr::null_mut(), false);
    // SAFETY: a finalizer runs on the environment's thread with a valid environment. Comparing is the least call
    // that Node-API refuses when it may not run JavaScript.
    unsafe {
        sys::napi_get_global(env.raw(), &raw mut global) == sys::Status::napi_ok
            && sys::napi_strict_equals(env.raw(), global, global, &raw mut is_equal) == sys::Status::napi_ok
    }
}

impl Lent {
    /// Takes the buffer out of its pool for good, and lets its stream go on without it. A map has no such thing.
    fn keep(&self) {
        let mut held = lock(&self.held);
        if matches!(*held, Some(Held::Map(_))) {
            return;
        }
        *held = held.take().and_then(Held::into_kept_buffer).map(Held::Buffer);
    }

    /// Gives the pages back and leaves the addresses mapped.
    fn retire(&self) {
        let buffer = match lock(&self.held).take() {
            Some(Held::Map(map)) => return map.abandon(),
            held => held.and_then(Held::into_kept_buffer),
        };
        let Some(buffer) = buffer else { return };
        let size_bytes = buffer.capacity_bytes() as usize;
        // SAFETY: the range is the whole of an anonymous private map, which stays mapped. Whoever still reads it
        // reads zeros.
        // Without the advice the pages stay resident; the addresses are valid either way.
        let _ =
            unsafe { rustix::mm::madvise(self.base.cast(), size_bytes, rustix::mm::Advice::LinuxDontNeed) };
        buffer.leak();
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.environment_ended.load(Ordering::Relaxed) {
            return self.retire();
        }
        let held = lock(&self.held).take();
        if let Some(Held::Map(map)) = held {
            // The last view of a map that ended without it: a device may take its time, and JavaScript's thread has none.
            // Without a thread for it, it is dropped here.
            let _ = thread::Builder::new().spawn(move || drop(map));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
