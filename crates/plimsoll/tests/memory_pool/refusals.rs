//! What is refused, and how that is told.

use std::sync::Arc;

use plimsoll::{
    Error,
    device::{Backend, DeviceContext, HostBackend},
    pool::{BufferOptions, MemoryPool, PoolOptions},
    units::{KIB, MIB},
};

use crate::{grown, labelled, pool, small};

#[test]
fn a_refusal_names_the_buffer_or_else_the_pool() {
    let pool = pool(PoolOptions { label: "weights".into(), ..small(MIB) });
    for (options, label) in [(labelled("layer 1"), "layer 1"), (BufferOptions::default(), "weights")] {
        let refusal = pool.allocate(1000, &options).unwrap_err().to_string();
        assert!(refusal.contains(&format!("asked for \"{label}\"")), "{refusal}");
    }
}

/// A slab may have to be larger than what it is for.
#[test]
fn a_reservation_that_is_refused_names_what_was_asked_for() {
    let pool = pool(PoolOptions { label: "weights".into(), max_bytes: Some(MIB), ..small(MIB) });
    let Error::InsufficientMemory { label, requested_bytes, .. } =
        pool.reserve_for(2 * MIB + 5, &labelled("layer 1")).unwrap_err()
    else {
        panic!("the pool may hold one mebibyte");
    };
    assert_eq!((label.as_str(), requested_bytes), ("layer 1", 2 * MIB + 5));
}

#[test]
fn options_that_contradict_each_other_or_the_device_are_named() {
    let dedicated = PoolOptions { dedicated: true, ..PoolOptions::default() };
    for (name, options) in [
        ("pageBytes", PoolOptions { page_bytes: Some(4 * KIB), ..dedicated.clone() }),
        ("initialBytes", PoolOptions { initial_bytes: 1, ..dedicated.clone() }),
        ("maxBytes", PoolOptions { max_bytes: Some(1), ..PoolOptions::default() }),
        ("maxBytes", PoolOptions { max_bytes: Some(1), ..dedicated.clone() }),
        ("maxBytes", PoolOptions { max_bytes: Some(MIB), page_bytes: Some(2 * MIB), ..small(MIB) }),
        ("slabBytes", small(1 << 52)),
    ] {
        let backend = Arc::new(HostBackend::new(DeviceContext::default()));
        let refusal = MemoryPool::create(backend, options).unwrap_err();
        let Error::InvalidArgument { name: named, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!(*named, name, "{refusal}");
    }
    // The least that can hold anything is enough.
    let page_bytes = HostBackend::new(DeviceContext::default()).limits().granule_bytes;
    for options in [dedicated, PoolOptions::default()] {
        let pool = pool(PoolOptions { max_bytes: Some(page_bytes), ..options });
        assert_eq!(grown(&pool, page_bytes).size_bytes(), page_bytes);
    }
}

#[test]
fn unfit_sizes_alignments_and_options_are_named() {
    let pool = pool(small(MIB));
    let misaligned = BufferOptions { align_bytes: 3, ..BufferOptions::default() };
    for (bytes, options) in [
        (0, BufferOptions::default()),
        (u64::MAX, BufferOptions::default()),
        (1, misaligned),
        (1, BufferOptions { align_bytes: 0, ..BufferOptions::default() }),
        (1, BufferOptions { align_bytes: 1 << 40, ..BufferOptions::default() }),
    ] {
        assert_eq!(pool.allocate(bytes, &options).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    }
    let backend = pool.backend();
    for (name, options) in [
        ("slabBytes", PoolOptions { slab_bytes: u64::MAX, ..PoolOptions::default() }),
        ("pageBytes", PoolOptions { page_bytes: Some(0), ..PoolOptions::default() }),
        ("initialBytes", PoolOptions { initial_bytes: 2, max_bytes: Some(1), ..PoolOptions::default() }),
    ] {
        let refusal = MemoryPool::create(Arc::clone(backend), options).unwrap_err();
        assert!(refusal.to_string().contains(name), "{refusal}");
    }
    let buffer = grown(&pool, 100);
    let mut bytes = [0; 10];
    for offset in [91, 100, u64::MAX] {
        assert_eq!(buffer.read(offset, &mut bytes).unwrap_err().code(), "ERR_INVALID_ARGUMENT");
    }
}
