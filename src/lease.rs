//! Native memory in JavaScript's hands.

// External array buffers are made from raw memory; each block says what keeps that memory alive.
#![allow(unsafe_code)]

use std::{
    collections::BTreeMap,
    ffi::c_void,
    ops::Range,
    ptr,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use napi::{
    Env,
    bindgen_prelude::{ArrayBuffer, FromNapiValue},
    check_status, sys,
};
use plimsoll::{
    Result as CoreResult,
    loader::StreamedUnit,
    pool::{Mapping, StagingBuffer},
};

use crate::sync::lock;

/// A buffer lent to JavaScript as array buffers.
///
/// Each array buffer holds a share of the lease until its finalizer ran: after it was detached or collected. Only
/// then does the memory return to its pool, so it is never wrapped a second time while an old view could still see
/// it. The finalizer runs on a later turn of the event loop.
///
/// Work on a thread of ours that reads or writes the memory holds a share too, [`LeasedWork`]: however early JavaScript
/// lets go of its views, nobody else is given the memory before the work has ended.
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
    is_map: bool,
    held: Mutex<Option<Held>>,
    environment_ended: AtomicBool,
    /// How many shares are of work that is under way.
    works: AtomicUsize,
}

/// The leases whose memory is wrapped, by which work finds the one that a view's address belongs to.
///
/// The address tells, and not a property of the view: a script can give an array any property, and an array buffer that
/// was moved is another object over the same memory.
static WRAPPED: Mutex<Wrapped> = Mutex::new(Wrapped { buffers: BTreeMap::new(), maps: Vec::new() });

struct Wrapped {
    /// Buffers by their first byte; no two of them overlap.
    buffers: BTreeMap<usize, Place>,
    /// Maps, of which several may show the same part of a slab. There are few at a time.
    maps: Vec<Place>,
}

/// Where the memory of a lease lies.
struct Place {
    range: Range<usize>,
    lent: Weak<Lent>,
}

impl Place {
    fn is_of(&self, lent: &Lent) -> bool {
        ptr::eq(self.lent.as_ptr(), lent)
    }

    fn contains(&self, range: &Range<usize>) -> bool {
        self.range.start <= range.start && range.end <= self.range.end
    }
}

impl Wrapped {
    fn add(&mut self, lent: &Arc<Lent>) {
        let start = lent.base.addr();
        let place = Place { range: start..start.saturating_add(lent.size_bytes), lent: Arc::downgrade(lent) };
        if lent.is_map {
            self.maps.push(place);
        } else {
            self.buffers.insert(start, place);
        }
    }

    fn remove(&mut self, lent: &Lent) {
        let start = lent.base.addr();
        if lent.is_map {
            self.maps.retain(|place| !place.is_of(lent));
        } else if self.buffers.get(&start).is_some_and(|place| place.is_of(lent)) {
            self.buffers.remove(&start);
        }
    }

    /// Every lease that `range` lies in. No other is touched: its last share must not be dropped under this lock.
    fn around(&self, range: &Range<usize>) -> Vec<Lease> {
        let buffer = self.buffers.range(..=range.start).next_back().map(|(_, place)| place);
        let places = buffer.into_iter().chain(&self.maps).filter(|place| place.contains(range));
        places.filter_map(|place| place.lent.upgrade()).map(Lease).collect()
    }
}

/// Memory of leases while work of ours reads or writes it.
pub struct LeasedWork {
    /// Usually one; several where maps overlap.
    leases: Vec<Lease>,
    start: *mut u8,
    len: usize,
}

// SAFETY: the memory is held by the leases, whose shares may move between threads.
unsafe impl Send for LeasedWork {}

impl LeasedWork {
    /// A share of the lease that these bytes of a view belong to; `None` where they are no memory of ours.
    pub fn on(start: *mut u8, len: usize) -> Option<Self> {
        let range = start.addr()..start.addr().checked_add(len)?;
        let leases = lock(&WRAPPED).around(&range);
        for lease in &leases {
            lease.0.works.fetch_add(1, Ordering::Relaxed);
        }
        (!leases.is_empty()).then_some(Self { leases, start, len })
    }

    /// Where the bytes are, and how many.
    pub const fn memory(&self) -> (*mut u8, usize) {
        (self.start, self.len)
    }

    /// The bytes, which JavaScript may be reading or writing too while it still has a view of them.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the range lies within the memory of the leases, which stays theirs, mapped, as long as this share.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// The same, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl Drop for LeasedWork {
    fn drop(&mut self) {
        for lease in &self.leases {
            lease.0.works.fetch_sub(1, Ordering::Release);
        }
    }
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
        lease.ok_or_else(wrapped_before)
    }

    /// Lets `use_bytes` see memory that was not wrapped yet.
    pub fn with_bytes<T>(&self, use_bytes: impl FnOnce(&[u8]) -> napi::Result<T>) -> napi::Result<T> {
        let unwrapped = lock(&self.unwrapped);
        let lease = unwrapped.as_ref();
        use_bytes(lease.ok_or_else(wrapped_before)?.unwrapped_bytes())
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
    Buffer(StagingBuffer),
    Map(Mapping),
}

impl Held {
    /// Lets go of everything but the buffer itself, which leaves its pool for good.
    fn into_kept_buffer(self) -> Option<StagingBuffer> {
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
        let of_buffer = |buffer: &mut StagingBuffer| (buffer.len(), buffer.as_mut_ptr());
        let (size_bytes, base) = match &mut held {
            Held::Unit(unit) => unit.unit_mut().buffer.as_mut().map_or((0, std::ptr::null_mut()), of_buffer),
            Held::Buffer(buffer) => of_buffer(buffer),
            Held::Map(map) => (map.view().size_bytes(), map.view().base().as_ptr()),
        };
        Self(Arc::new(Lent {
            base,
            size_bytes,
            is_map: matches!(held, Held::Map(_)),
            held: Mutex::new(Some(held)),
            environment_ended: AtomicBool::new(false),
            works: AtomicUsize::new(0),
        }))
    }

    /// Ends a map: the device sees what was written. Where no view is left, and no work that began with one, it is given
    /// back at once, else with the last.
    pub fn finish_map(&self, detached: bool) -> CoreResult<()> {
        let mut held = lock(&self.0.held);
        // Without a view no work can begin.
        let is_seen = !detached || self.0.works.load(Ordering::Acquire) > 0;
        match held.as_mut() {
            Some(Held::Map(map)) if is_seen => map.end(),
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
        lock(&WRAPPED).add(&self.0);
        ranges.map(|range| self.array_buffer(env, range)).collect()
    }

    fn array_buffer(&self, env: Env, range: Range<usize>) -> napi::Result<ArrayBuffer<'static>> {
        if range.start > range.end || range.end > self.0.size_bytes {
            return Err(napi::Error::from_reason("expected a range within the buffer"));
        }
        let len = range.end - range.start;
        let start = self.0.base.wrapping_add(range.start);
        let share = Arc::into_raw(Arc::clone(&self.0));
        let mut value = ptr::null_mut();
        // SAFETY: the range lies within the buffer, which lives, unmoved, as long as the share of the lease that
        // the finalizer drops, and stays mapped after it where the environment ended first. No Rust reference to
        // it exists meanwhile.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                env.raw(),
                start.cast(),
                len,
                Some(finalize),
                share.cast_mut().cast(),
                &raw mut value,
            )
        };
        if status != sys::Status::napi_ok {
            // No array buffer was made, so none will drop the share: engines that take no memory of others say so, and
            // so does one whose thread is ending, since the call began or before.
            // SAFETY: the share is the one made above, which nobody else took.
            drop(unsafe { Arc::from_raw(share) });
            check_status!(status, "expected an engine that takes memory of others in array buffers")?;
        }
        // SAFETY: the value is the array buffer just made.
        unsafe { ArrayBuffer::from_napi_value(env.raw(), value) }
    }

    /// What was not wrapped yet. The lease must be this caller's alone.
    fn unwrapped_bytes(&self) -> &[u8] {
        if self.0.size_bytes == 0 {
            return &[];
        }
        // SAFETY: the memory belongs to `held`, which lives as long as the lease. Nobody writes to it: it was filled before
        // it came here, and JavaScript has no view of it.
        unsafe { std::slice::from_raw_parts(self.0.base, self.0.size_bytes) }
    }
}

/// Drops an array buffer's share. When the environment is ending, nothing is known of the memory but that its array buffer
/// will not be seen through this environment again.
unsafe extern "C" fn finalize(env: sys::napi_env, _data: *mut c_void, share: *mut c_void) {
    // SAFETY: the share was given to this array buffer, whose finalizer runs once.
    let lent = unsafe { Arc::from_raw(share.cast_const().cast::<Lent>()) };
    if !runs_javascript(Env::from_raw(env)) {
        lent.environment_ended.store(true, Ordering::Relaxed);
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

fn wrapped_before() -> napi::Error {
    napi::Error::from_reason("expected memory that was not wrapped before")
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

    /// Releases the pages and leaves the addresses mapped.
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
        lock(&WRAPPED).remove(self);
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
