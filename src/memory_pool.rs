//! The native half of `MemoryPool` and its buffers.

use std::{fmt::Write, ops::Deref, os::fd::IntoRawFd, time::Duration};

use napi::{
    Env,
    bindgen_prelude::{ArrayBuffer, AsyncTask, External, ObjectFinalize, Uint8Array},
};
use napi_derive::napi;
use plimsoll::{
    Error as CoreError, Result as CoreResult,
    pool::{
        Access, BegunMove, BufferOptions, DefragmentOptions, DefragmentReport as CoreReport, MemoryPool, Pin,
        Placement, PoolBuffer, PoolOptions, PoolStats as CoreStats, Scope, TraceEvent, TraceKind,
    },
};

use crate::{
    budget::NativeBudget,
    defragment::{NativeMove, NativePass},
    device::NativeDevice,
    error::to_js,
    lease::{Held, LeaseHolder, runs_javascript},
    pool_table::PoolTable,
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

/// What a pool holds and has done.
#[napi(object, object_from_js = false)]
pub struct PoolStats {
    /// Bytes of slabs taken from the device.
    pub held_bytes: f64,
    /// Bytes of the blocks that buffers have.
    pub used_bytes: f64,
    /// Bytes that buffers asked for.
    pub requested_bytes: f64,
    /// Bytes held and not used.
    pub free_bytes: f64,
    /// Bytes of slabs without buffers.
    pub cached_bytes: f64,
    /// The largest buffer that would find a place now, in bytes.
    pub largest_free_bytes: f64,
    /// Share of the free bytes that one buffer could not have, 0 to 100: 0 when they lie in one piece.
    pub fragmentation_percent: f64,
    /// The most bytes ever held.
    pub peak_held_bytes: f64,
    /// The most bytes ever used.
    pub peak_used_bytes: f64,
    /// Slabs held.
    pub slab_count: f64,
    /// Buffers handed out.
    pub buffer_count: f64,
    /// Buffers ever handed out.
    pub allocated_count: f64,
    /// Buffers ever freed.
    pub freed_count: f64,
    /// Requests that found no place in the slabs held.
    pub failed_count: f64,
    /// Requests that needed more than a new slab: others given back, pressure, defragmentation.
    pub retry_count: f64,
    /// Buffers moved by defragmentation.
    pub moved_count: f64,
    /// Bytes moved by defragmentation.
    pub moved_bytes: f64,
    /// What the pool's own books take, in bytes.
    pub metadata_bytes: f64,
}

/// One slab of a pool.
#[napi(object, object_from_js = false)]
pub struct SlabInfo {
    /// Its number.
    pub index: u32,
    /// Its size, in bytes.
    pub size_bytes: f64,
    /// Bytes of its blocks that buffers have.
    pub used_bytes: f64,
    /// Whether it was taken as the pool was made.
    pub initial: bool,
    /// Its blocks, used and free, in the order of their addresses.
    pub blocks: Vec<BlockInfo>,
}

/// One block of a slab.
#[napi(object, object_from_js = false)]
pub struct BlockInfo {
    /// Where it begins in its slab, in bytes.
    pub offset_bytes: f64,
    /// Its size, in bytes.
    pub size_bytes: f64,
    /// What the buffer in it is for; absent where it is free.
    pub label: Option<String>,
    /// Bytes that the buffer asked for.
    pub requested_bytes: Option<f64>,
    /// Whether the buffer was placed as a short-lived one.
    pub transient: Option<bool>,
    /// Whether the buffer has to stay where it is.
    pub pinned: Option<bool>,
}

/// One of PyTorch's figures.
#[napi(object, object_from_js = false)]
pub struct NativeCounter {
    pub name: String,
    pub value: f64,
}

/// What was allocated and freed while a scope lasted, in bytes as asked for.
#[napi(object, object_from_js = false)]
pub struct PoolScope {
    /// What was allocated and not freed again, less what was freed that was there before.
    pub current_bytes: f64,
    /// The most that `currentBytes` ever was.
    pub peak_bytes: f64,
    /// All that was allocated.
    pub total_bytes: f64,
    /// Buffers allocated and not freed again.
    pub current_count: f64,
    /// The most that `currentCount` ever was.
    pub peak_count: f64,
    /// Buffers allocated.
    pub total_count: f64,
}

/// What happened to a pool, an event a line.
#[napi(object, object_from_js = false)]
pub struct NativeTrace {
    pub lines: String,
    pub event_count: f64,
    pub dropped_count: f64,
}

/// What came of a defragmentation.
#[napi(object, object_from_js = false)]
pub struct DefragmentReport {
    /// Buffers moved.
    pub moved_count: f64,
    /// Bytes moved.
    pub moved_bytes: f64,
    /// Moves that the caller did not want.
    pub vetoed_count: f64,
    /// Bytes of slabs that became empty.
    pub emptied_bytes: f64,
    /// The largest hole before, in bytes.
    pub largest_free_bytes_before: f64,
    /// The largest hole after, in bytes.
    pub largest_free_bytes_after: f64,
    /// Whether nothing is left that a move would mend.
    pub complete: bool,
}

/// A file descriptor of the slab that a buffer lies in. It is the caller's to close.
#[napi(object, object_from_js = false)]
pub struct ExportedFd {
    /// The descriptor.
    pub fd: i32,
    /// Where the buffer begins in it, in bytes.
    pub offset_bytes: f64,
    /// The size of the buffer, in bytes.
    pub size_bytes: f64,
}

impl From<CoreStats> for PoolStats {
    fn from(stats: CoreStats) -> Self {
        Self {
            held_bytes: stats.held_bytes as f64,
            used_bytes: stats.used_bytes as f64,
            requested_bytes: stats.requested_bytes as f64,
            free_bytes: stats.free_bytes as f64,
            cached_bytes: stats.cached_bytes as f64,
            largest_free_bytes: stats.largest_free_bytes as f64,
            fragmentation_percent: stats.fragmentation_percent,
            peak_held_bytes: stats.peak_held_bytes as f64,
            peak_used_bytes: stats.peak_used_bytes as f64,
            slab_count: stats.slab_count as f64,
            buffer_count: stats.buffer_count as f64,
            allocated_count: stats.allocated_count as f64,
            freed_count: stats.freed_count as f64,
            failed_count: stats.failed_count as f64,
            retry_count: stats.retry_count as f64,
            moved_count: stats.moved_count as f64,
            moved_bytes: stats.moved_bytes as f64,
            metadata_bytes: stats.metadata_bytes as f64,
        }
    }
}

impl From<Scope> for PoolScope {
    fn from(scope: Scope) -> Self {
        Self {
            current_bytes: scope.current_bytes as f64,
            peak_bytes: scope.peak_bytes as f64,
            total_bytes: scope.total_bytes as f64,
            current_count: scope.current_count as f64,
            peak_count: scope.peak_count as f64,
            total_count: scope.total_count as f64,
        }
    }
}

impl From<CoreReport> for DefragmentReport {
    fn from(report: CoreReport) -> Self {
        Self {
            moved_count: report.moved_count as f64,
            moved_bytes: report.moved_bytes as f64,
            vetoed_count: report.vetoed_count as f64,
            emptied_bytes: report.emptied_bytes as f64,
            largest_free_bytes_before: report.largest_free_bytes_before as f64,
            largest_free_bytes_after: report.largest_free_bytes_after as f64,
            complete: report.complete,
        }
    }
}

impl ObjectFinalize for NativePool {
    fn finalize(self, env: Env) -> napi::Result<()> {
        // While JavaScript runs, `lib/` has it destroyed by a thread that may wait for the device. Of a thread that ends, a
        // view that was moved away holds its own slab, and not all of them.
        if !runs_javascript(env) {
            self.pool.destroy();
        }
        let told_bytes = self.told_bytes();
        if told_bytes != 0 {
            env.adjust_external_memory(-told_bytes)?;
        }
        Ok(())
    }
}

fn size(bytes: Option<f64>) -> Option<u64> {
    bytes.map(|bytes| bytes as u64)
}

/// An event as a line of JSON. Buffers are named by text: their numbers may be larger than JavaScript's hold exactly.
fn write_line(lines: &mut String, event: &TraceEvent) {
    let TraceEvent { kind, at_us, buffer, bytes, align_bytes, placement, .. } = *event;
    let name = kind.name();
    // Writing to a string does not fail.
    let _ = write!(lines, r#"{{"event":"{name}","atUs":{at_us}"#);
    if kind != TraceKind::Refuse {
        let _ = write!(lines, r#","buffer":"{buffer}""#);
    }
    let _ = write!(lines, r#","bytes":{bytes}"#);
    if matches!(kind, TraceKind::Allocate | TraceKind::Refuse) {
        let placement = if placement == Placement::Transient { "transient" } else { "long" };
        let _ = write!(lines, r#","alignBytes":{align_bytes},"placement":"{placement}""#);
    }
    lines.push_str("}\n");
}

fn access_of(name: &str) -> Access {
    match name {
        "read" => Access::Read,
        "write" => Access::Write,
        _ => Access::ReadWrite,
    }
}

#[napi]
impl NativePool {
    #[napi(ts_return_type = "Promise<NativePool>", catch_unwind)]
    pub fn create(
        device: &NativeDevice,
        budget: Option<&NativeBudget>,
        options: NativePoolOptions,
    ) -> AsyncTask<Work<MemoryPool, NativePool>> {
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
        Work::promise(move || MemoryPool::create(backend, options), |_, pool| Ok(Self(PoolTable::new(pool))))
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
    pub fn reserve(&self, bytes: f64, align_bytes: f64) -> AsyncTask<Work<(), ()>> {
        let pool = self.pool.clone();
        let options = BufferOptions { align_bytes: align_bytes as u64, ..BufferOptions::default() };
        Work::promise(move || pool.reserve_for(bytes as u64, &options), |_, ()| Ok(()))
    }

    /// Whether a buffer for which there is no slab might find room once others have given memory back.
    #[napi(ts_return_type = "Promise<boolean>", catch_unwind)]
    pub fn begin_retry(&self, bytes: f64) -> AsyncTask<Work<bool, bool>> {
        let pool = self.pool.clone();
        Work::promise(move || Ok(pool.begin_retry(bytes as u64)), |_, may_fit| Ok(may_fit))
    }

    /// Gives slabs back that wait for it.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn collect(&self) -> AsyncTask<Work<u64, f64>> {
        let pool = self.pool.clone();
        Work::promise(move || Ok(pool.collect()), |_, bytes| Ok(bytes as f64))
    }

    /// Gives empty slabs back for a larger one, as far as nobody has asked for them.
    #[napi(ts_return_type = "Promise<number>", catch_unwind)]
    pub fn trim_spare(&self, missing_bytes: f64) -> AsyncTask<Work<u64, f64>> {
        let pool = self.pool.clone();
        Work::promise(move || Ok(pool.trim_spare(missing_bytes as u64)), |_, bytes| Ok(bytes as f64))
    }

    /// Gives back what is merely kept for what comes next.
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
    pub fn destroy(&self, env: Env) -> AsyncTask<Work<(), ()>> {
        let kept = self.buffers().drain();
        self.tell(env, -kept.iter().map(|kept| kept.buffer.size_bytes().cast_signed()).sum::<i64>());
        let pool = self.pool.clone();
        let destroy = move || {
            pool.destroy();
            drop(kept);
            Ok(())
        };
        Work::promise(destroy, |_, ()| Ok(()))
    }

    #[napi(catch_unwind)]
    pub fn stats(&self) -> PoolStats {
        self.pool.stats().into()
    }

    #[napi(catch_unwind)]
    pub fn counters(&self) -> Vec<NativeCounter> {
        let counter = |(name, value): (String, u64)| NativeCounter { name, value: value as f64 };
        self.pool.counters().into_iter().map(counter).collect()
    }

    #[napi(catch_unwind)]
    pub fn slabs(&self) -> Vec<SlabInfo> {
        let block = |block: plimsoll::pool::BlockInfo| {
            let buffer = block.buffer.as_ref();
            BlockInfo {
                offset_bytes: block.offset_bytes as f64,
                size_bytes: block.size_bytes as f64,
                label: buffer.map(|buffer| buffer.label.to_string()),
                requested_bytes: buffer.map(|buffer| buffer.requested_bytes as f64),
                transient: buffer.map(|buffer| buffer.placement == Placement::Transient),
                pinned: buffer.map(|buffer| buffer.pinned),
            }
        };
        let slab = |slab: plimsoll::pool::SlabInfo| SlabInfo {
            index: slab.index as u32,
            size_bytes: slab.size_bytes as f64,
            used_bytes: slab.used_bytes as f64,
            initial: slab.initial,
            blocks: slab.blocks.into_iter().map(block).collect(),
        };
        self.pool.slabs().into_iter().map(slab).collect()
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
        let (events, dropped_count) = self.pool.stop_trace();
        let mut lines = String::new();
        for event in &events {
            write_line(&mut lines, event);
        }
        NativeTrace { lines, event_count: events.len() as f64, dropped_count: dropped_count as f64 }
    }

    #[napi(catch_unwind)]
    pub fn begin_pass(&self) -> NativePass {
        NativePass::new(self.0.clone())
    }

    /// Makes a move: bytes of the slab that became empty by it; nothing where its buffer was freed or pinned since.
    #[napi(ts_return_type = "Promise<number | undefined>", catch_unwind)]
    pub fn make_move(&self, planned: &NativeMove) -> AsyncTask<Work<Option<u64>, Option<f64>>> {
        // Begun before it is queued: all that is queued behind it and waits for it finds it under way.
        let begun = self.pool.begin_move(planned.planned());
        let make = move || begun?.map(BegunMove::make).transpose();
        Work::promise(make, |_, bytes| Ok(bytes.map(|bytes| bytes as f64)))
    }

    /// Whether there is a buffer under that key.
    #[napi(catch_unwind)]
    pub fn holds(&self, key: f64) -> bool {
        self.buffers().get_mut(key).is_some()
    }

    #[napi(catch_unwind)]
    pub fn forgo_move(&self, planned: &NativeMove) {
        self.pool.forgo_move(&planned.planned());
    }

    /// What a defragmentation would come to.
    #[napi(ts_return_type = "Promise<DefragmentReport>", catch_unwind)]
    pub fn defragment_dry(
        &self,
        max_bytes: Option<f64>,
        max_moves: Option<f64>,
        max_ms: Option<f64>,
    ) -> AsyncTask<Work<CoreReport, DefragmentReport>> {
        let options = DefragmentOptions {
            max_bytes: size(max_bytes),
            max_moves: size(max_moves),
            max_time: max_ms.map(|ms| Duration::from_secs_f64(ms / 1e3)),
            dry_run: true,
        };
        let pool = self.pool.clone();
        Work::promise(move || pool.defragment(&options, &mut |_| true), |_, report| Ok(report.into()))
    }

    /// Copies `into.length` bytes out, from `offset_bytes` on.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn read(&self, key: f64, offset_bytes: f64, into: Uint8Array) -> AsyncTask<Work<(), ()>> {
        let buffer = self.buffer_for_work(key);
        let mut target = crate::stream::JsDestination::new(into);
        let read = move || {
            let (buffer, _pin) = buffer?;
            let window = target.whole();
            buffer.read(offset_bytes as u64, window)
        };
        Work::promise(read, |_, ()| Ok(()))
    }

    /// Copies `from` in, from `offset_bytes` on.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn write(&self, key: f64, offset_bytes: f64, from: Uint8Array) -> AsyncTask<Work<(), ()>> {
        let buffer = self.buffer_for_work(key);
        let write = move || {
            let (buffer, _pin) = buffer?;
            buffer.write(offset_bytes as u64, &from)
        };
        Work::promise(write, |_, ()| Ok(()))
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
        let access = access_of(&access);
        let map = move || {
            let (buffer, _pin) = buffer?;
            buffer.map(offset_bytes as u64, bytes as u64, access)
        };
        Work::promise(map, |_, map| Ok(NativeMapping { lease: LeaseHolder::new(Held::Map(map)) }))
    }

    #[napi(catch_unwind)]
    pub fn pin(&self, env: Env, key: f64) -> napi::Result<()> {
        let pin = self.buffer(key).and_then(|buffer| {
            buffer.try_pin()?.ok_or_else(|| CoreError::Busy {
                what: "the buffer",
                reason: "it is being moved; pin it again in a moment".to_owned(),
            })
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
                Ok(ExportedFd {
                    fd: exported.fd.into_raw_fd(),
                    offset_bytes: exported.offset_bytes as f64,
                    size_bytes: exported.size_bytes as f64,
                })
            },
        )
    }
}

/// A part of a buffer that JavaScript sees.
#[napi]
pub struct NativeMapping {
    lease: LeaseHolder,
}

#[napi]
impl NativeMapping {
    /// The part as an array buffer; to be called once.
    #[napi(catch_unwind)]
    pub fn array_buffer(&self, env: Env) -> napi::Result<Vec<ArrayBuffer<'static>>> {
        self.lease.take()?.array_buffers(env, std::iter::once(0..self.lease.size_bytes()))
    }

    /// Ends it. `detached` says that no view of it is left; else the memory stays until the last is collected.
    #[napi(ts_return_type = "Promise<void>", catch_unwind)]
    pub fn finish(&self, detached: bool) -> AsyncTask<Work<(), ()>> {
        let lease = self.lease.ending();
        Work::promise(move || lease.map_or(Ok(()), |lease| lease.finish_map(detached)), |_, ()| Ok(()))
    }
}
