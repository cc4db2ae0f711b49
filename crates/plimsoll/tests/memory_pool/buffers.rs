//! Buffers: their places, their bytes, what holds them, and what is left of them.

use std::{os::unix::fs::FileExt, sync::Arc};

use plimsoll::{
    MemoryBudget,
    device::{DeviceContext, HostBackend, HostOptions, HostSource},
    pool::{Access, BufferOptions, DefragmentOptions, MemoryPool, Placement, PoolOptions, TraceKind},
    units::{KIB, MIB},
};

use crate::{grown, is_signed, pool, sign, small};

#[test]
fn an_empty_slab_can_be_had_whole_at_any_odd_size() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    for bytes in [1, 12_345, 999_999, MIB - 1, MIB] {
        let buffer = pool.allocate(bytes, &BufferOptions::default()).unwrap();
        sign(&buffer, bytes);
        assert!(is_signed(&buffer, bytes));
    }
    assert_eq!(pool.stats().buffer_count, 0);
}

#[test]
fn a_closed_pool_refuses_every_use_and_maps_outlive_it() {
    let budget = MemoryBudget::new(10 * MIB, 0).unwrap();
    let pool = pool(PoolOptions { budget: Some(budget.clone()), ..small(MIB) });
    let buffer = grown(&pool, 1000);
    sign(&buffer, 1);
    let map = buffer.map(0, 1000, Access::Read).unwrap();
    pool.close();
    pool.close();
    let mut byte = [0];
    for refusal in [
        buffer.read(0, &mut byte).unwrap_err(),
        buffer.pin().unwrap_err(),
        buffer.map(0, 1, Access::Read).unwrap_err(),
        pool.allocate(1, &BufferOptions::default()).unwrap_err(),
        pool.reserve(1).unwrap_err(),
        pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap_err(),
    ] {
        assert_eq!(refusal.code(), "ERR_RELEASED", "{refusal}");
    }
    assert_eq!(budget.allocated_bytes(), MIB, "what is mapped is still there, and still counts");
    assert_eq!(map.view().size_bytes(), 1000);
    map.finish().unwrap();
    drop(buffer);
    assert_eq!((budget.allocated_bytes(), pool.stats().held_bytes, pool.stats().buffer_count), (0, 0, 0));
}

#[test]
fn the_place_of_an_abandoned_map_is_not_used_again_and_its_slab_goes_with_the_pool() {
    let budget = MemoryBudget::new(10 * MIB, 0).unwrap();
    let options = PoolOptions { budget: Some(budget.clone()), initial_bytes: MIB, ..small(MIB) };
    let pool = pool(options);
    let below = grown(&pool, 400 * KIB);
    let buffer = grown(&pool, 400 * KIB);
    buffer.fill(0, buffer.size_bytes(), 7).unwrap();
    let map = buffer.map(0, 1000, Access::ReadWrite).unwrap();
    let seen = map.view().base();
    map.abandon();
    drop((below, buffer));
    assert_eq!(pool.defragment(&DefragmentOptions::default(), &mut |_| true).unwrap().moved_count, 0);
    let others: Vec<_> = (0..6).map(|_| grown(&pool, 100 * KIB)).collect();
    others.iter().for_each(|other| other.fill(0, other.size_bytes(), 9).unwrap());
    // SAFETY: the addresses stay mapped; nobody writes to them any more.
    #[allow(unsafe_code)]
    let byte = || unsafe { seen.as_ptr().read_volatile() };
    assert_eq!(byte(), 7);
    pool.close();
    assert_eq!((byte(), budget.allocated_bytes()), (0, 0));
    assert_eq!(pool.device_usage().used_bytes, 0);
}

#[test]
fn what_is_freed_reads_zero_for_the_next_user_where_that_is_asked_for() {
    for zero_on_free in [true, false] {
        let pool = pool(PoolOptions { zero_on_free, initial_bytes: MIB, ..small(MIB) });
        let first = pool.allocate(4 * KIB, &BufferOptions::default()).unwrap();
        first.fill(0, 4 * KIB, 0xee).unwrap();
        drop(first);
        let mut bytes = [1; 100];
        pool.allocate(4 * KIB, &BufferOptions::default()).unwrap().read(0, &mut bytes).unwrap();
        assert_eq!(bytes.iter().all(|byte| *byte == 0), zero_on_free);
    }
}

#[test]
fn nothing_is_left_of_live_buffers_as_a_zeroing_pool_ends() {
    let options = HostOptions { source: HostSource::MemoryFile, ..HostOptions::default() };
    let backend = Arc::new(HostBackend::with_options(DeviceContext::default(), options));
    let options = PoolOptions { zero_on_free: true, initial_bytes: MIB, ..small(MIB) };
    let pool = MemoryPool::create(backend, options).unwrap();
    let buffer = pool.allocate(100, &BufferOptions::default()).unwrap();
    buffer.fill(0, 100, 65).unwrap();
    let exported = buffer.export_fd().unwrap();
    pool.close();
    let mut seen = [1; 100];
    std::fs::File::from(exported.fd).read_exact_at(&mut seen, exported.offset_bytes).unwrap();
    assert_eq!(seen, [0; 100]);
}

#[test]
fn a_buffer_is_loaded_alone_and_pinned_or_exported_all_the_same() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    let buffer = pool.allocate(100, &BufferOptions::default()).unwrap();
    let pin = buffer.pin().unwrap();
    let claim = buffer.claim().unwrap();
    assert_eq!(buffer.write(0, &[1]).unwrap_err().code(), "ERR_BUSY");
    assert_eq!(buffer.claim().unwrap_err().code(), "ERR_BUSY");
    drop((claim, pin));
    let map = buffer.map(0, 1, Access::Read).unwrap();
    assert_eq!(buffer.claim().unwrap_err().code(), "ERR_BUSY");
    drop(map);
    assert!(buffer.claim().is_ok());
}

#[test]
fn transient_buffers_come_from_the_other_end() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    let transient = BufferOptions { placement: Placement::Transient, ..BufferOptions::default() };
    let _long = pool.allocate(1000, &BufferOptions::default()).unwrap();
    let _short = pool.allocate(1000, &transient).unwrap();
    let blocks = &pool.slabs()[0].blocks;
    let used: Vec<_> =
        blocks.iter().filter(|block| block.buffer.is_some()).map(|block| block.offset_bytes).collect();
    assert_eq!(used, [0, MIB - 1024]);
    assert_eq!(blocks.iter().map(|block| block.size_bytes).sum::<u64>(), MIB);
}

#[test]
fn pages_are_all_of_one_size() {
    let pool = pool(PoolOptions { page_bytes: Some(16 * KIB), initial_bytes: 64 * KIB, ..small(64 * KIB) });
    let pages: Vec<_> = (0..4).map(|_| pool.allocate(10 * KIB, &BufferOptions::default()).unwrap()).collect();
    assert!(pool.allocate(1, &BufferOptions::default()).is_err());
    let refusal = pool.allocate(16 * KIB + 1, &BufferOptions::default()).unwrap_err();
    assert!(refusal.to_string().contains("a page of 16384 bytes"), "{refusal}");
    pages.iter().zip(0..).for_each(|(page, seed)| sign(page, seed));
    assert!(pages.iter().zip(0..).all(|(page, seed)| is_signed(page, seed)));
}

#[test]
fn free_pages_are_not_scattered() {
    let pool = pool(PoolOptions { page_bytes: Some(4 * KIB), initial_bytes: 64 * KIB, ..small(64 * KIB) });
    assert!(pool.stats().fragmentation_percent < f64::EPSILON);
}

#[test]
fn a_trace_tells_every_event_and_what_was_there_before() {
    let pool = pool(PoolOptions { initial_bytes: MIB, ..small(MIB) });
    let before = pool.allocate(100, &BufferOptions::default()).unwrap();
    pool.start_trace(4);
    drop(pool.allocate(200, &BufferOptions::default()).unwrap());
    let _refused = pool.allocate(2 * MIB, &BufferOptions::default()).unwrap_err();
    drop(before);
    let (events, dropped) = pool.stop_trace();
    let seen: Vec<_> = events.iter().map(|event| (event.kind, event.bytes)).collect();
    let expected = [
        (TraceKind::Present, 100),
        (TraceKind::Allocate, 200),
        (TraceKind::Free, 200),
        (TraceKind::Refuse, 2 * MIB),
    ];
    assert_eq!((seen.as_slice(), dropped), (expected.as_slice(), 1));
    assert!(pool.stop_trace().0.is_empty());
}
