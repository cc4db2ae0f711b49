//! What taking and giving bytes costs, beside the plain way of doing it.
//!
//! Prints a line for each: name, nanoseconds, name of the peer, its nanoseconds, apart by tabs. Each figure is the
//! median over batches of one take and one give together, on one thread.

// The counter is no public API; it is measured as it stands, with the lock and atomics it is built on.
#[allow(dead_code)]
#[path = "../src/budget/counter.rs"]
mod counter;
#[allow(dead_code, unused_imports)]
#[path = "../src/sync.rs"]
mod sync;

use std::{
    collections::HashMap,
    hint::black_box,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use counter::Counter;
use plimsoll::{
    MemoryBudget,
    budget::{RecordOptions, SystemOptions},
    tokens::{Growth, TokenBudget, TokenCost, TokenLimits},
    units::GIB,
};

const BATCHES: usize = 501;
const PER_BATCH: u32 = 10_000;
const BYTES: u64 = 4096;

fn main() -> plimsoll::Result<()> {
    report("counter", counter_ns(), "Mutex<u64>", locked_sum_ns());
    let budget = MemoryBudget::new(GIB, 0)?;
    report("guard", guard_ns(&budget), "Mutex<HashMap>", locked_map_ns());
    let of_machine = MemoryBudget::for_system(&SystemOptions::default())?;
    report("guard of this machine", guard_ns(&of_machine), "guard", guard_ns(&budget));
    let by_line = MemoryBudget::for_system(&SystemOptions { headroom: None, ..SystemOptions::default() })?;
    report("guard of this machine, by its line", guard_ns(&by_line), "guard", guard_ns(&budget));
    report("guard of this machine, measured anew", measured_ns(&of_machine), "guard", guard_ns(&budget));
    let _others: Vec<_> = (0..1000).map(|_| budget.allocate(BYTES, "other")).collect::<Result<_, _>>()?;
    report("guard among 1000", guard_ns(&budget), "Mutex<HashMap>", locked_map_ns());
    {
        let off_ns = guard_ns(&budget);
        let _recording = budget.record(RecordOptions::default())?;
        report("guard, recorded", guard_ns(&budget), "guard", off_ns);
    }
    report("guard with a label of its own", owned_label_ns(&budget), "Mutex<HashMap>", locked_map_ns());
    report("token checked and added, among 1000 sequences", token_ns()?, "Mutex<u64>", locked_sum_ns());
    Ok(())
}

/// A token more of one of a thousand sequences that share a prefix.
fn token_ns() -> plimsoll::Result<f64> {
    let limits = TokenLimits { max_cache_tokens: Some(u64::MAX), ..TokenLimits::default() };
    let tokens = TokenBudget::new(TokenCost::of_token(BYTES)?, limits);
    tokens.set_reserved_bytes(u64::MAX);
    let prefix = tokens.open("prefix");
    let _ = prefix.extend(100)?;
    let mut sequences = Vec::new();
    for _ in 0..1000 {
        if let Growth::Done(sequence) = prefix.fork("chat")? {
            let _ = sequence.extend(1)?;
            sequences.push(sequence);
        }
    }
    let mut at = 0;
    Ok(median_ns(|| {
        at = (at + 7) % sequences.len();
        let _ = black_box(sequences.get(at).map(|sequence| sequence.extend(1)));
    }))
}

fn report(name: &str, ns: f64, peer: &str, peer_ns: f64) {
    println!("{name}\t{ns:.2}\t{peer}\t{peer_ns:.2}");
}

/// Nanoseconds of one `run`: the median over batches, which a passing disturbance does not move.
fn median_ns(mut run: impl FnMut()) -> f64 {
    let mut batches: Vec<f64> = (0..BATCHES)
        .map(|_| {
            let start = Instant::now();
            (0..PER_BATCH).for_each(|_| run());
            start.elapsed().as_secs_f64() * 1e9 / f64::from(PER_BATCH)
        })
        .collect();
    batches.sort_by(f64::total_cmp);
    batches.get(BATCHES / 2).copied().unwrap_or_default()
}

fn counter_ns() -> f64 {
    let counter = Counter::default();
    median_ns(|| {
        let _ = black_box(black_box(&counter).try_take(black_box(BYTES), black_box(GIB)));
        black_box(&counter).release(black_box(BYTES));
    })
}

fn guard_ns(budget: &MemoryBudget) -> f64 {
    median_ns(|| drop(black_box(budget.allocate(black_box(BYTES), "bench"))))
}

/// More than a quarter of what is left, so that each is weighed by a reading of its own.
fn measured_ns(budget: &MemoryBudget) -> f64 {
    let bytes = budget.available_bytes() / 2;
    let start = Instant::now();
    let runs = 2000_u32;
    (0..runs).for_each(|_| drop(black_box(budget.allocate(black_box(bytes), "bench"))));
    start.elapsed().as_secs_f64() * 1e9 / f64::from(runs)
}

/// As the addon does: every label is a string made for its guard.
fn owned_label_ns(budget: &MemoryBudget) -> f64 {
    median_ns(|| drop(black_box(budget.allocate(black_box(BYTES), black_box("bench").to_owned()))))
}

/// The plain counter: a sum under a lock.
fn locked_sum_ns() -> f64 {
    let sum = Mutex::new(0_u64);
    let lock = || black_box(&sum).lock().unwrap_or_else(PoisonError::into_inner);
    median_ns(|| {
        *lock() += black_box(BYTES);
        *lock() -= black_box(BYTES);
    })
}

/// The plain list of guards: sizes, labels and times in a map under a lock.
fn locked_map_ns() -> f64 {
    let map = Mutex::new(HashMap::new());
    let lock = || black_box(&map).lock().unwrap_or_else(PoisonError::into_inner);
    let mut serial = 0_u64;
    median_ns(|| {
        serial += 1;
        lock().insert(serial, (black_box(BYTES), "bench", Instant::now()));
        let entry = lock().remove(&serial);
        let _ = black_box(entry);
    })
}
