//! What was granted of this machine's memory and not yet taken, beside pools that take of the same memory. One test, since
//! all of it is counted for the whole process.

use std::{hint::black_box, sync::Arc};

use plimsoll::{
    Error, MemoryBudget,
    budget::{HeadroomOptions, Promised, SystemOptions},
    device::{Charge, DeviceContext, HostBackend},
    pool::{MemoryPool, PoolOptions},
    units::{GIB, MIB},
};

/// What the rest of the process may grow or shrink by meanwhile.
const NOISE: u64 = 6 * MIB;

fn pool(bytes: u64, budget: Option<&MemoryBudget>) -> plimsoll::Result<MemoryPool> {
    pool_of(&DeviceContext::default(), bytes, budget)
}

fn pool_of(
    context: &DeviceContext,
    bytes: u64,
    budget: Option<&MemoryBudget>,
) -> plimsoll::Result<MemoryPool> {
    let backend = Arc::new(HostBackend::new(context.clone()));
    let options = PoolOptions {
        initial_bytes: bytes,
        slab_bytes: bytes,
        budget: budget.cloned(),
        ..PoolOptions::default()
    };
    MemoryPool::create(backend, options)
}

fn take(bytes: u64) -> Vec<u8> {
    black_box(vec![1; bytes as usize])
}

#[track_caller]
fn expect(budget: &MemoryBudget, pending_bytes: u64, when: &str) {
    let is = budget.pending_bytes();
    assert!(is.abs_diff(pending_bytes) <= NOISE, "{when}: {} MiB", is / MIB);
}

#[test]
fn what_was_promised_stays_promised_and_what_was_taken_stays_taken() {
    let budget = MemoryBudget::for_system(&SystemOptions::default()).unwrap();
    let numbers = MemoryBudget::new(64 * GIB, 0).unwrap();
    let kinds = [("no budget", None), ("a budget of numbers", Some(&numbers)), ("the same", Some(&budget))];
    let most = budget.available_bytes();
    assert!(most > 512 * MIB, "this machine has too little left for this test: {} MiB", most / MIB);

    // Pools pay for nobody else's grant, whoever counts them.
    let held = budget.allocate(96 * MIB, "not taken").unwrap();
    for (kind, counted_by) in kinds {
        let pool = pool(96 * MIB, counted_by).unwrap();
        expect(&budget, 96 * MIB, kind);
        pool.close();
        expect(&budget, 96 * MIB, kind);
    }
    drop(held);

    // Growth of the program's own before a grant neither.
    let small = budget.allocate(2 * MIB, "it lives on").unwrap();
    let own = take(96 * MIB);
    let held = budget.allocate(96 * MIB, "not taken").unwrap();
    expect(&budget, 96 * MIB, "the program has grown by itself");
    drop((small, held, own));

    // What goes beside it leaves what was taken taken.
    for (kind, counted_by) in kinds {
        let pool = pool(96 * MIB, counted_by).unwrap();
        let cache = budget.allocate(64 * MIB, "cache").unwrap();
        expect(&budget, 64 * MIB, kind);
        let taken = take(64 * MIB);
        expect(&budget, 0, kind);
        pool.close();
        expect(&budget, 0, kind);
        drop((cache, taken));
        expect(&budget, 0, kind);
    }

    // What was promised is there for no pool. Whoever else is on this machine needs room to move: pools see half of it.
    let context = DeviceContext::default();
    let free = context.headroom(Promised::NOTHING, Charge::Process).unwrap();
    let floor_bytes = Some(free.terms[0].floor_bytes + free.bytes / 2);
    let context = DeviceContext { headroom: HeadroomOptions { floor_bytes, ..context.headroom }, ..context };
    let left = context.headroom(Promised::NOTHING, Charge::Process).unwrap().bytes;
    let held = budget.allocate(left / 10 * 8, "nearly all that pools see").unwrap();
    for (kind, counted_by) in kinds {
        let refused = pool_of(&context, left / 2, counted_by).map(drop);
        assert!(matches!(refused, Err(Error::InsufficientMemory { .. })), "{kind}: {refused:?}");
        // Nor for one that grows.
        let pool = pool_of(&context, 4 * MIB, counted_by).unwrap();
        let refused = pool.reserve(left / 2);
        assert!(matches!(refused, Err(Error::InsufficientMemory { .. })), "{kind}: {refused:?}");
    }
    drop(held);
    expect(&budget, 0, "in the end");
}
