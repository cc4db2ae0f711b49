//! The native half of `MemoryPool` and its buffers.

use std::{ops::Deref, os::fd::IntoRawFd, sync::Arc};

use napi::{
    Env, Unknown,
    bindgen_prelude::{ArrayBuffer, AsyncTask, External, ObjectFinalize},
};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    pool::{DefragmentOptions, DefragmentReport as CoreReport, MemoryPool, Pin, PoolBuffer, PoolOptions},
};

use super::{
    defragment::{NativeBounds, NativeRun},
    held_buffer::{NativeHeldBuffer, write},
    mapping::NativeMapping,
    request::NativeRequest,
    stats::{DefragmentReport, NativeCounter, NativeTrace, PoolScope, PoolStats, SlabInfo},
    table::{PoolTable, buffer_options},
};
use crate::{
    budget::{Guards, NativeBudget},
    device::NativeDevice,
    error::to_js,
    js_memory::{FreshBuffer, HeldValue, Source, deliver, zeroed},
    lease::{Held, LeaseHolder, runs_javascript},
    mirror::{kind_of, mirror},
    work::Work,
};

/// A pool with the buffers that JavaScript holds out of it.
///
/// `lib/` gives every buffer an object whose finalizer frees it. When this object goes, at the latest with its worker,
/// all its buffers go with it.
#[napi(custom_finalize)]
pub struct NativePool(PoolTable);

impl Deref for NativePool {
    type Target = PoolTable;

    fn deref(&self) -> &PoolTable {
        &self.0
    }
}

#[napi(object, object_to_js = false)]
pub struct NativePoolOptions {
    pub label: String,
    pub slab_bytes: Option<f64>,
    pub initial_bytes: Option<f64>,
    pub max_bytes: Option<f64>,
    pub max_cached_bytes: Option<f64>,
    pub page_bytes: Option<f64>,
    pub dedicated: bool,
    pub zero_on_free: bool,
}

mirror! {
    /// A file descriptor of the slab that a buffer lies in. It is the caller's to close.
    pub struct ExportedFd of plimsoll::pool::ExportedFd {
        /// The descriptor.
        pub fd: i32 = fd.into_raw_fd(),
        /// Where the buffer begins in it, in bytes.
        pub offset_bytes: f64,
        /// The size of the buffer, in bytes.
        pub size_bytes: f64,
    }
    // From here on it is JavaScript's.
    reading { fd }
}

impl ObjectFinalize for NativePool {
    fn finalize(self, env: Env) -> napi::Result<()> {
        // While JavaScript runs, `lib/` has it closed by a thread that may wait for the device. Of a thread that ends, a
        // view that was moved away holds its own slab, and not all of them.
        if !runs_javascript(env) {
            self.pool.close();
        }
        let reported_bytes = self.reported_bytes();
        if reported_bytes != 0 {
            env.adjust_external_memory(-reported_bytes)?;
        }
        Ok(())
    }
}

fn size(bytes: Option<f64>) -> Option<u64> {
    bytes.map(|bytes| bytes as u64)
}

#[napi]
impl NativePool {
    /// Where `guards` and `key` name a guard, its bytes become the pool's.
    #[napi(ts_return_type = "Promise<NativePool>", catch_unwind)]
    pub fn create(
        device: &NativeDevice,
        budget: Option<&NativeBudget>,
        options: NativePoolOptions,
        #[napi(ts_arg_type = "object | undefined")] guards: Option<&External<Arc<Guards>>>,
        key: Option<u32>,
    ) -> AsyncTask<Work<MemoryPool, NativePool>> {
        let given = guards.map(|guards| Arc::clone(guards)).zip(key);
        let backend = device.backend().clone();
        let options = PoolOptions {
            slab_bytes: size(options.slab_bytes).unwrap_or(0),
            initial_bytes: size(options.initial_bytes).unwrap_or(0),
            max_bytes: size(options.max_bytes),
            max_cached_bytes: size(options.max_cached_bytes),
            page_bytes: size(options.page_bytes),
            dedicated: options.dedicated,
            zero_on_free: options.zero_on_free,
            budget: budget.map(|budget| budget.core().clone()),
            label: options.label.into(),
        };
        let create = move || match given {
            Some((guards, key)) => guards.give(key, |given| MemoryPool::create_from(backend, options, given)),
            None => MemoryPool::create(backend, options),
        };
        Work::promise(create, |_, pool| Ok(Self(PoolTable::new(pool))))
    }

    /// What `allocateBuffer` and `freeBuffer` take.
    #[napi(ts_return_type = "object", catch_unwind)]
    pub fn table(&self) -> External<PoolTable> {
        External::new(self.0.clone())
    }

    /// The buffer for work that is queued, kept where it is until then. One that is being moved comes without a pin: that
    /// move was queued before.
    fn buffer_for_work(&self, key: f64) -> CoreResult<(PoolBuffer, Option<Pin>)> {
        let buffer = self.buffer(key)?;
        let pin = buffer.try_pin()?;
        Ok((buffer, pin))
    }

    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn reserve(&self, bytes: f64) -> AsyncTask<Work<(), ()>> {
        let pool = self.pool.clone();
        Work::promise(move || pool.reserve(bytes as u64), |_, ()| Ok(()))
    }

    /// A request for a buffer that the slabs held have no place for.
    #[napi(catch_unwind)]
    pub fn request(
        &self,
        env: Env,
        bytes: f64,
        align_bytes: f64,
        transient: bool,
        label: Option<String>,
    ) -> napi::Result<NativeRequest> {
        let options = buffer_options(align_bytes, transient, label);
        NativeRequest::new(self.0.clone(), bytes as u64, &options).map_err(|error| to_js(env, &error))
    }

    /// Releases slabs that wait for it.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn collect(&self) -> AsyncTask<Work<u64, f64>> {
        let pool = self.pool.clone();
        Work::promise(move || Ok(pool.collect()), |_, bytes| Ok(bytes as f64))
    }

    /// Releases what is merely kept for what comes next.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn trim_cached(&self) -> AsyncTask<Work<u64, f64>> {
        let pool = self.pool.clone();
        Work::promise(move || Ok(pool.trim_cached()), |_, bytes| Ok(bytes as f64))
    }

    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn trim(&self, keep_bytes: f64) -> AsyncTask<Work<u64, f64>> {
        let pool = self.pool.clone();
        Work::promise(move || Ok(pool.trim(keep_bytes as u64)), |_, bytes| Ok(bytes as f64))
    }

    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn close(&self, env: Env) -> AsyncTask<Work<(), ()>> {
        let kept = self.buffers().drain();
        self.report(env, -kept.iter().map(|kept| kept.buffer.size_bytes().cast_signed()).sum::<i64>());
        let pool = self.pool.clone();
        let close = move || {
            pool.close();
            drop(kept);
            Ok(())
        };
        Work::promise(close, |_, ()| Ok(()))
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> PoolStats {
        self.pool.stats().into()
    }

    #[napi(catch_unwind)]
    pub fn counters(&self) -> Vec<NativeCounter> {
        self.pool.counters().into_iter().map(NativeCounter::from).collect()
    }

    #[napi(catch_unwind)]
    pub fn slabs(&self) -> Vec<SlabInfo> {
        self.pool.slabs().into_iter().map(SlabInfo::from).collect()
    }

    #[napi(catch_unwind)]
    pub fn push_scope(&self) {
        self.pool.push_scope();
    }

    #[napi(catch_unwind)]
    pub fn pop_scope(&self) -> Option<PoolScope> {
        self.pool.pop_scope().map(PoolScope::from)
    }

    #[napi(catch_unwind)]
    pub fn start_trace(&self, capacity: u32) {
        self.pool.start_trace(capacity as usize);
    }

    #[napi(catch_unwind)]
    pub fn stop_trace(&self) -> NativeTrace {
        self.pool.stop_trace().into()
    }

    /// Begins a defragmentation within bounds.
    #[napi(catch_unwind)]
    pub fn begin_run(&self, env: Env, bounds: NativeBounds) -> napi::Result<NativeRun> {
        NativeRun::new(self.0.clone(), &bounds.into()).map_err(|error| to_js(env, &error))
    }

    /// What a defragmentation would come to.
    #[napi(ts_return_type = "Promise<DefragmentReport>", catch_unwind)]
    pub fn defragment_dry(&self, bounds: NativeBounds) -> AsyncTask<Work<CoreReport, DefragmentReport>> {
        let options = DefragmentOptions { dry_run: true, ..bounds.into() };
        let pool = self.pool.clone();
        Work::promise(move || pool.defragment(&options, &mut |_| true), |_, report| Ok(report.into()))
    }

    /// Copies bytes out, from `offset_bytes` on, into memory that nobody has seen before.
    #[napi(ts_return_type = "Promise<ArrayBuffer>", catch_unwind)]
    pub fn read(
        &self,
        env: Env,
        key: f64,
        offset_bytes: f64,
        bytes: f64,
    ) -> napi::Result<AsyncTask<Work<FreshBuffer, ArrayBuffer<'static>>>> {
        let buffer = self.buffer_for_work(key);
        let mut fresh = FreshBuffer::new(env, bytes as usize)?;
        let read = move || {
            let (buffer, _pin) = buffer?;
            buffer.read(offset_bytes as u64, fresh.bytes_mut())?;
            Ok(fresh)
        };
        Ok(Work::promise(read, |_, fresh| fresh.into_buffer()))
    }

    /// Copies a piece of `bytes` bytes out, from `offset_bytes` on, and then into an array from `start` on, which still has to
    /// have `len` bytes.
    #[allow(clippy::too_many_arguments)] // As JavaScript gives them.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn read_piece(
        &self,
        env: Env,
        key: f64,
        offset_bytes: f64,
        bytes: f64,
        #[napi(ts_arg_type = "Uint8Array")] into: Unknown<'_>,
        len: f64,
        start: f64,
    ) -> napi::Result<AsyncTask<Work<Vec<u8>, ()>>> {
        let buffer = self.buffer_for_work(key);
        let mut piece = zeroed(bytes as usize).map_err(|error| to_js(env, &error))?;
        let into = HeldValue::new(&into)?;
        let read = move || {
            let (buffer, _pin) = buffer?;
            buffer.read(offset_bytes as u64, &mut piece)?;
            Ok(piece)
        };
        let to_array =
            move |env, piece: Vec<u8>| deliver(env, &into.value()?, len as usize, start as usize, &piece);
        Ok(Work::promise(read, to_array))
    }

    /// Copies bytes in, from `offset_bytes` on: those of an array of `len` bytes from `start` on, or the first of them. A
    /// promise of how many.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn write(
        &self,
        env: Env,
        key: f64,
        offset_bytes: f64,
        #[napi(ts_arg_type = "Uint8Array")] from: Unknown<'_>,
        len: f64,
        start: f64,
    ) -> napi::Result<AsyncTask<Work<usize, f64>>> {
        let source = Source::of(env, &from, start as usize, len as usize)?;
        Ok(write(self.buffer_for_work(key), offset_bytes, source))
    }

    /// The buffer for a write in pieces, which goes on to its end whatever is released meanwhile.
    #[napi(catch_unwind)]
    pub fn hold(&self, env: Env, key: f64) -> napi::Result<NativeHeldBuffer> {
        let buffer = self.buffer(key).map_err(|error| to_js(env, &error))?;
        Ok(NativeHeldBuffer::new(buffer))
    }

    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn fill(&self, key: f64, offset_bytes: f64, bytes: f64, byte: u8) -> AsyncTask<Work<(), ()>> {
        let buffer = self.buffer_for_work(key);
        let fill = move || {
            let (buffer, _pin) = buffer?;
            buffer.fill(offset_bytes as u64, bytes as u64, byte)
        };
        Work::promise(fill, |_, ()| Ok(()))
    }

    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn copy(
        &self,
        key: f64,
        offset_bytes: f64,
        bytes: f64,
        to: &NativePool,
        to_key: f64,
        to_offset_bytes: f64,
    ) -> AsyncTask<Work<(), ()>> {
        let (from, to) = (self.buffer_for_work(key), to.buffer_for_work(to_key));
        let copy = move || {
            let ((from, _from_pin), (to, _to_pin)) = (from?, to?);
            from.copy_to(offset_bytes as u64, bytes as u64, &to, to_offset_bytes as u64)
        };
        Work::promise(copy, |_, ()| Ok(()))
    }

    /// Maps a part for the processor.
    #[napi(ts_return_type = "Promise<NativeMapping>", catch_unwind)]
    pub fn map(
        &self,
        key: f64,
        offset_bytes: f64,
        bytes: f64,
        access: String,
    ) -> AsyncTask<Work<plimsoll::pool::Mapping, NativeMapping>> {
        let buffer = self.buffer_for_work(key);
        let map = move || {
            let (buffer, _pin) = buffer?;
            buffer.map(offset_bytes as u64, bytes as u64, kind_of("access", &access)?)
        };
        Work::promise(map, |_, map| Ok(NativeMapping { lease: LeaseHolder::new(Held::Map(map)) }))
    }

    #[napi(catch_unwind)]
    pub fn pin(&self, env: Env, key: f64) -> napi::Result<()> {
        let pin = self.buffer(key).and_then(|buffer| {
            buffer
                .try_pin()?
                .ok_or_else(|| CoreError::busy("the buffer", "it is being moved; pin it again in a moment"))
        });
        let pin = pin.map_err(|error| to_js(env, &error))?;
        if let Some(kept) = self.buffers().get_mut(key) {
            kept.pins.push(pin);
        }
        Ok(())
    }

    /// Takes one pin off; whether there was one.
    #[napi(catch_unwind)]
    pub fn unpin(&self, key: f64) -> bool {
        let pin = self.buffers().get_mut(key).and_then(|kept| kept.pins.pop());
        pin.is_some()
    }

    #[napi(ts_return_type = "Promise<ExportedFd>", catch_unwind)]
    pub fn export_fd(&self, key: f64) -> AsyncTask<Work<plimsoll::pool::ExportedFd, ExportedFd>> {
        let buffer = self.buffer_for_work(key);
        Work::promise(
            move || {
                let (buffer, _pin) = buffer?;
                buffer.export_fd()
            },
            |env, exported| {
                if !runs_javascript(env) {
                    // Nobody is left who could close it.
                    return Err(napi::Error::from_reason("expected a thread that has not ended"));
                }
                Ok(exported.into())
            },
        )
    }
}
