//! Native memory in JavaScript's hands.

// External array buffers are made from raw memory; each block says what keeps that memory alive.
#![allow(unsafe_code)]

use std::{
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use napi::{Env, bindgen_prelude::ArrayBuffer};
use plimsoll::{loader::StreamedUnit, pool::PooledBuffer};

/// A buffer lent to JavaScript as array buffers.
///
/// Each array buffer holds a share of the lease until its backing store is gone: after it was detached, or
/// collected, and its finalizer ran. Only then does the memory return to its pool, so it is never wrapped a second
/// time while an old view could still see it. The finalizer runs on a later turn of the event loop.
#[derive(Clone)]
pub struct Lease(Arc<Lent>);

struct Lent {
    base: *mut u8,
    size_bytes: usize,
    held: Mutex<Held>,
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
        let lease = self.unwrapped.lock().unwrap_or_else(PoisonError::into_inner).take();
        lease.ok_or_else(|| napi::Error::from_reason("expected memory that was not wrapped before"))
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
    /// Taken out of its pool for good; freed with the lease.
    Kept {
        _buffer: Option<PooledBuffer>,
    },
}

// SAFETY: `base` points into the buffer that `held` owns, which may move between threads; Rust never reads or
// writes through it.
unsafe impl Send for Lent {}
// SAFETY: as above; `held` is behind its lock.
unsafe impl Sync for Lent {}

impl Lease {
    fn new(mut held: Held) -> Self {
        let buffer = match &mut held {
            Held::Unit(unit) => unit.unit_mut().buffer.as_mut(),
            Held::Buffer(buffer) => Some(buffer),
            Held::Kept { _buffer: buffer } => buffer.as_mut(),
        };
        let (base, size_bytes) =
            buffer.map_or((std::ptr::null_mut(), 0), |buffer| (buffer.as_mut_ptr(), buffer.len()));
        Self(Arc::new(Lent { base, size_bytes, held: Mutex::new(held) }))
    }

    /// An array buffer over part of the memory. Ranges of one lease must not overlap, and each is wrapped once.
    pub fn array_buffer(&self, env: Env, range: Range<usize>) -> napi::Result<ArrayBuffer<'static>> {
        if range.start > range.end || range.end > self.0.size_bytes {
            return Err(napi::Error::from_reason("expected a range within the buffer"));
        }
        let len = range.end - range.start;
        // SAFETY: the range lies within the buffer, which lives, unmoved, as long as the share of the lease that
        // the finalizer drops. No Rust reference to it exists meanwhile.
        let buffer = unsafe {
            let start = self.0.base.add(range.start);
            ArrayBuffer::from_external(&env, start, len, self.clone(), |_, lease| drop(lease))
        }?;
        // SAFETY: the value is returned to JavaScript in the same call; the lifetime only ties it to `env`.
        Ok(unsafe { std::mem::transmute::<ArrayBuffer<'_>, ArrayBuffer<'static>>(buffer) })
    }
}

impl Lent {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the buffer out of its pool for good, and lets its stream go on without it.
    fn keep(&self) {
        let mut held = self.held();
        let buffer = match std::mem::replace(&mut *held, Held::Kept { _buffer: None }) {
            Held::Unit(unit) => unit.keep().buffer,
            Held::Buffer(mut buffer) => {
                buffer.keep();
                Some(buffer)
            }
            Held::Kept { _buffer: buffer } => buffer,
        };
        *held = Held::Kept { _buffer: buffer };
    }
}
