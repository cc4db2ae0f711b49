//! Pools that begin with an allocation, and slabs that grow with their pool.

use plimsoll::{
    Error, MemoryBudget,
    device::{DeviceContext, HostBackend},
    pool::{MemoryPool, PoolOptions},
    units::MIB,
};
use std::sync::Arc;

use super::{grown, pool, small};

fn host() -> Arc<HostBackend> {
    Arc::new(HostBackend::new(DeviceContext::default()))
}

#[test]
fn bytes_that_were_allocated_before_are_not_charged_again() {
    let budget = MemoryBudget::new(64 * MIB, 0).unwrap();
    let model = budget.allocate(5 * MIB, "model").unwrap();
    let options = PoolOptions { budget: Some(budget.clone()), ..small(2 * MIB) };
    let pool = MemoryPool::create_from(host(), options, model).unwrap();
    let buffers: Vec<_> = (0..2).map(|_| grown(&pool, 2 * MIB)).collect();
    assert_eq!((budget.allocated_bytes(), budget.promised().bytes()), (5 * MIB, MIB));
    // One mebibyte of the next slab is the last of it, and one is the budget's.
    let beyond = grown(&pool, 2 * MIB);
    assert_eq!((budget.allocated_bytes(), budget.promised().bytes()), (6 * MIB, 0));
    drop((buffers, beyond));
    assert_eq!(budget.allocated_bytes(), 0, "what a slab took is released with it");
}

#[test]
fn what_no_slab_took_goes_with_the_pool() {
    let budget = MemoryBudget::new(64 * MIB, 0).unwrap();
    let model = budget.allocate(5 * MIB, "model").unwrap();
    let options = PoolOptions { budget: Some(budget.clone()), ..small(2 * MIB) };
    let pool = MemoryPool::create_from(host(), options, model).unwrap();
    let _buffer = grown(&pool, MIB);
    pool.close();
    assert_eq!(budget.allocated_bytes(), 0);
}

#[test]
fn a_slab_that_is_refused_leaves_what_was_given_whole() {
    let budget = MemoryBudget::new(1 << 50, 0).unwrap();
    let model = budget.allocate(1 << 48, "model").unwrap();
    let options = PoolOptions { budget: Some(budget.clone()), ..small(2 * MIB) };
    let pool = MemoryPool::create_from(host(), options, model).unwrap();
    let refused = pool.reserve(1 << 47).unwrap_err();
    assert!(matches!(refused, Error::InsufficientMemory { .. }), "{refused}");
    assert_eq!(budget.allocations().iter().map(|info| info.bytes).collect::<Vec<_>>(), [1 << 48]);
    let _buffer = grown(&pool, MIB);
    assert_eq!(budget.allocated_bytes(), 1 << 48);
}

#[test]
fn a_pool_that_cannot_be_made_returns_what_it_was_given() {
    let budget = MemoryBudget::new(64 * MIB, 0).unwrap();
    let unfit = [
        PoolOptions { initial_bytes: MIB, ..small(2 * MIB) },
        PoolOptions { page_bytes: Some(0), ..small(2 * MIB) },
    ];
    for options in unfit {
        let model = budget.allocate(5 * MIB, "model").unwrap();
        let (error, model) = MemoryPool::create_from(host(), options, model).unwrap_err();
        assert!(matches!(error, Error::InvalidArgument { .. }), "{error}");
        assert_eq!((model.bytes(), budget.allocated_bytes()), (5 * MIB, 5 * MIB));
    }
}

#[test]
fn slabs_grow_with_the_pool_where_nobody_asked_for_a_size() {
    let pool = pool(PoolOptions::default());
    let mut held = Vec::new();
    let mut sizes = Vec::new();
    while pool.stats().held_bytes < 256 * MIB {
        held.push(grown(&pool, MIB));
        sizes.push(pool.stats().held_bytes);
    }
    sizes.dedup();
    assert_eq!(sizes[..6], [2, 4, 8, 16, 32, 64].map(|mib| mib * MIB));
    assert_eq!(sizes[6..], [128, 192, 256].map(|mib| mib * MIB));
}
